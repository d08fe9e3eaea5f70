DROP TABLE gift_receipts;

DROP TABLE order_confirmations;
DROP TABLE order_attachments;
DROP TABLE order_tags;
DROP TABLE order_notes;

DROP TABLE awaited_refunds;

ALTER TABLE stock_movements DROP COLUMN idempotency_key;

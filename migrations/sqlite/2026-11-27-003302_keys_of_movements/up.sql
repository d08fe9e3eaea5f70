-- By which request a level moved, as whoever sent it calls it: its Idempotency-Key.
ALTER TABLE stock_movements ADD COLUMN idempotency_key TEXT;

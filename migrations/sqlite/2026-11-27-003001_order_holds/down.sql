ALTER TABLE orders DROP COLUMN hold_ends_at;
ALTER TABLE orders DROP COLUMN holds;

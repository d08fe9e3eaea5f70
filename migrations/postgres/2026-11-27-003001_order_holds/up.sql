-- What an order is held for, and when the first of that ends by itself.
ALTER TABLE orders ADD COLUMN holds jsonb;
ALTER TABLE orders ADD COLUMN hold_ends_at timestamptz;

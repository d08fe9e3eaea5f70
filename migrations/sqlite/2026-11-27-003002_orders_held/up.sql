-- Held orders, the newest first.
CREATE INDEX orders_held ON orders (placed_at, id) WHERE holds IS NOT NULL;

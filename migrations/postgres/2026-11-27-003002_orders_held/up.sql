-- Held orders, the newest first.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_held ON orders (placed_at, id) WHERE holds IS NOT NULL;

-- Orders of which a hold is to end.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_hold_ends ON orders (hold_ends_at) WHERE hold_ends_at IS NOT NULL;

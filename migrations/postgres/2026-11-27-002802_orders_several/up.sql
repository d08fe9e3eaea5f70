-- Orders with several deliveries. What a process of an older version has placed of them is found by their further addresses afterwards.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_several ON orders (id) WHERE doc->'deliveries'->1 IS NOT NULL;

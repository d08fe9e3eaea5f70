-- Orders are found by the number that the customer calls them by.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_purchase_order ON orders (lower(doc->>'purchase_order'), placed_at, id) WHERE doc->>'purchase_order' IS NOT NULL;

-- What a document has moved, the newest first.
CREATE INDEX CONCURRENTLY IF NOT EXISTS stock_movements_reference ON stock_movements (reference, seq) WHERE reference IS NOT NULL;

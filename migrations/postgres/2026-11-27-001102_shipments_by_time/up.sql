-- The parcels of a span of time: what was promised and what happened.
CREATE INDEX CONCURRENTLY IF NOT EXISTS shipments_shipped ON shipments (shipped_at);

-- Parcels that could not be handed over.
CREATE INDEX CONCURRENTLY IF NOT EXISTS shipments_attempts ON shipments (shipped_at, id) WHERE tracking = 'failed_attempt';

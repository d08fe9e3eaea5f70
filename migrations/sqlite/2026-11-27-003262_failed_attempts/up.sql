-- Parcels that could not be handed over.
CREATE INDEX shipments_attempts ON shipments (shipped_at, id) WHERE tracking = 'failed_attempt';

-- The parcels of a span of time: what was promised and what happened.
CREATE INDEX shipments_shipped ON shipments (shipped_at);

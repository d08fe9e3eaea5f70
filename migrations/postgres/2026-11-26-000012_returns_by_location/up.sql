-- Whoever is limited to locations is led to the returns that came back to these, and to those that name none.
CREATE INDEX CONCURRENTLY IF NOT EXISTS returns_location ON returns (coalesce(doc->>'location_id', ''), occurred_at, id);

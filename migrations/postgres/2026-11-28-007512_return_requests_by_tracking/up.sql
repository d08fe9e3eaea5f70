-- Return requests are found by the tracking number of the parcel that brings the goods.
CREATE INDEX CONCURRENTLY IF NOT EXISTS return_requests_tracking ON return_requests (upper(doc->'parcel'->>'tracking_number'), id) WHERE doc->'parcel'->>'tracking_number' IS NOT NULL;

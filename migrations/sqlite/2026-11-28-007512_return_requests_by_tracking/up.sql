-- Return requests are found by the tracking number of the parcel that brings the goods.
CREATE INDEX return_requests_tracking ON return_requests (upper(doc->'parcel'->>'tracking_number'), id) WHERE doc->'parcel'->>'tracking_number' IS NOT NULL;

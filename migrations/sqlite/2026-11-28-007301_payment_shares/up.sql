-- The share of an order's money that went over to the order that was split off: which payment it is of, and which one the provider knows.
ALTER TABLE payments ADD COLUMN parent_id BLOB;
ALTER TABLE payments ADD COLUMN root_id BLOB;
CREATE INDEX payments_root ON payments (root_id, id) WHERE root_id IS NOT NULL;

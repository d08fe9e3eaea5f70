DROP TABLE shipment_claims;
DROP TABLE tracking_marks;
ALTER TABLE shipments DROP COLUMN tracking;

DROP TABLE manifest_shipments;
DROP TABLE manifests;
DROP TABLE package_serials;
DROP TABLE packages;
ALTER TABLE fulfilment_lines DROP COLUMN boxed;

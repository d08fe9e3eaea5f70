-- Registrations end: a serial number is one of the live ones of its article, and free again for whoever has the thing next.
ALTER TABLE product_registrations ADD COLUMN customer_id BLOB;
ALTER TABLE product_registrations ADD COLUMN ended_at TEXT;
-- Why; gone after an erasure.
ALTER TABLE product_registrations ADD COLUMN end_reason TEXT;
DROP INDEX product_registrations_serial;
CREATE UNIQUE INDEX product_registrations_serial ON product_registrations (serial_key, variant_id)
    WHERE serial_key IS NOT NULL AND ended_at IS NULL;
CREATE INDEX product_registrations_number ON product_registrations (serial_key, id) WHERE serial_key IS NOT NULL;

DROP INDEX product_registrations_number;
DROP INDEX product_registrations_serial;
-- Of each number the last one keeps it.
UPDATE product_registrations SET serial_key = NULL WHERE ended_at IS NOT NULL;
CREATE UNIQUE INDEX product_registrations_serial ON product_registrations (serial_key, variant_id) WHERE serial_key IS NOT NULL;
ALTER TABLE product_registrations DROP COLUMN end_reason;
ALTER TABLE product_registrations DROP COLUMN ended_at;
ALTER TABLE product_registrations DROP COLUMN customer_id;

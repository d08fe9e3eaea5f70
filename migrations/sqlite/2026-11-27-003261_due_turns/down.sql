ALTER TABLE fulfilment_orders DROP COLUMN collect_by;
ALTER TABLE fulfilment_orders DROP COLUMN turn_at;

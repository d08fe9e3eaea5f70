DROP TABLE fulfilment_holds;
ALTER TABLE shipments DROP COLUMN corrected_at;
ALTER TABLE fulfilment_orders DROP COLUMN doc;
ALTER TABLE fulfilment_orders DROP COLUMN accept_by;
ALTER TABLE fulfilment_orders DROP COLUMN priority;
ALTER TABLE fulfilment_lines DROP COLUMN moved;

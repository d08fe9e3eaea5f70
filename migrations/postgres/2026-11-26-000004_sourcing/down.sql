ALTER TABLE fulfilment_orders DROP COLUMN sourcing;
ALTER TABLE reservations DROP COLUMN sourcing;

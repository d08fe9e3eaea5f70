-- Why pieces come from where they do: kept with what a cart holds, and handed on to the location's work.
ALTER TABLE reservations ADD COLUMN sourcing TEXT;
ALTER TABLE fulfilment_orders ADD COLUMN sourcing TEXT;

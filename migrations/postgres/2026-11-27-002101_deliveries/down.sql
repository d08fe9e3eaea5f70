ALTER TABLE fulfilment_orders DROP COLUMN told_until;
ALTER TABLE fulfilment_orders DROP COLUMN promised_until;
DROP INDEX reservations_cart;
CREATE UNIQUE INDEX reservations_cart ON reservations (cart_id, line_no, location_id) WHERE state = 'live';
ALTER TABLE reservations DROP COLUMN delivery;

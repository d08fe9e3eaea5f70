-- Which of a cart's deliveries a reservation is for, from 0. Processes that know one delivery only write 0.
ALTER TABLE reservations ADD COLUMN delivery INTEGER NOT NULL DEFAULT 0;
DROP INDEX reservations_cart;
CREATE UNIQUE INDEX reservations_cart ON reservations (cart_id, line_no, location_id, delivery) WHERE state = 'live';
-- Until when the goods of one of several deliveries have arrived, as it was promised; of an order with one it stands in
-- `delivery_promises`.
ALTER TABLE fulfilment_orders ADD COLUMN promised_until TEXT;
-- The same as it was told last.
ALTER TABLE fulfilment_orders ADD COLUMN told_until TEXT;

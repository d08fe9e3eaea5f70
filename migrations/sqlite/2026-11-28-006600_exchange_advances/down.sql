DROP INDEX return_requests_advancing;
DROP INDEX return_requests_advance;
ALTER TABLE return_requests DROP COLUMN advance_state;
ALTER TABLE return_requests DROP COLUMN advance_cart_id;

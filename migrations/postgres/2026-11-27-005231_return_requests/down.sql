DROP TABLE return_request_lines;
DROP TABLE return_requests;
DROP TABLE return_policies;
ALTER TABLE orders DROP COLUMN shipping_credited;
ALTER TABLE order_lines DROP COLUMN claimed;
ALTER TABLE order_lines DROP COLUMN coming_back;

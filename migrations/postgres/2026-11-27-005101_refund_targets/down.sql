DROP TABLE order_refunds;
ALTER TABLE payment_operations DROP COLUMN stored_value_id;
ALTER TABLE payment_operations DROP COLUMN target;

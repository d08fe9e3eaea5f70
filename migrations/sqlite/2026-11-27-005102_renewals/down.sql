DROP TABLE payment_renewals;
ALTER TABLE sandbox_payments DROP COLUMN expires_at;
ALTER TABLE payments DROP COLUMN due_at;
ALTER TABLE payments DROP COLUMN expires_at;

ALTER TABLE payment_renewals DROP COLUMN tries;

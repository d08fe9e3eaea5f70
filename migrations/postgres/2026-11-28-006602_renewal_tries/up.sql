-- How often a provider was asked for a promise that ends; what it refuses for now ('dropped') is asked for again.
ALTER TABLE payment_renewals ADD COLUMN tries bigint NOT NULL DEFAULT 1;

-- Providers tell of disputes by their own name of the payment.
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_provider_ref ON payments (provider_ref) WHERE provider_ref IS NOT NULL;

-- Customers are found by their own phone number.
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_phone ON customers ((doc->>'phone_digits'), id) WHERE doc->>'phone' IS NOT NULL;

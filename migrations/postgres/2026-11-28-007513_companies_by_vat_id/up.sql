-- Companies are found by their VAT number.
CREATE INDEX CONCURRENTLY IF NOT EXISTS companies_vat_id ON companies ((doc->>'vat_id'), id) WHERE doc->>'vat_id' IS NOT NULL;

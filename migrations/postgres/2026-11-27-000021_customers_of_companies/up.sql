-- The customers of a company.
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_company ON customers (company_id, id) WHERE company_id IS NOT NULL;

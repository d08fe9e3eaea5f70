-- The customers of a company.
CREATE INDEX customers_company ON customers (company_id, id) WHERE company_id IS NOT NULL;

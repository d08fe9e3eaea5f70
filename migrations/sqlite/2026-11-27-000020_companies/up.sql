-- Companies that customers buy for. What more is known of one (its roles, its credit) will stand beside it, by its id.
CREATE TABLE companies (
    id BLOB PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    name_folded TEXT NOT NULL,
    active INTEGER NOT NULL,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX companies_name ON companies (name_folded, id);

ALTER TABLE customers ADD COLUMN company_id BLOB REFERENCES companies (id);

-- Whom a price list is for: one customer, one company, the customers of a group, or everybody.
ALTER TABLE price_lists ADD COLUMN company_id BLOB REFERENCES companies (id)
    CHECK (company_id IS NULL OR (customer_id IS NULL AND customer_group IS NULL));

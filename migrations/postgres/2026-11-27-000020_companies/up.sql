-- Companies that customers buy for. What more is known of one (its roles, its credit) will stand beside it, by its id.
CREATE TABLE companies (
    id uuid PRIMARY KEY,
    number text COLLATE "C" NOT NULL UNIQUE,
    name_folded text COLLATE "C" NOT NULL,
    active boolean NOT NULL,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX companies_name ON companies (name_folded, id);

ALTER TABLE customers ADD COLUMN company_id uuid REFERENCES companies (id);

-- Whom a price list is for: one customer, one company, the customers of a group, or everybody.
ALTER TABLE price_lists ADD COLUMN company_id uuid REFERENCES companies (id)
    CHECK (company_id IS NULL OR (customer_id IS NULL AND customer_group IS NULL));

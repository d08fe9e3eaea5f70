-- Named lists of what is ordered again: of a customer, or of a company where it is shared.
CREATE TABLE order_templates (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    customer_id BLOB,
    company_id BLOB,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT order_templates_whose CHECK (customer_id IS NOT NULL OR company_id IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX order_templates_own ON order_templates (customer_id, name) WHERE company_id IS NULL;
CREATE UNIQUE INDEX order_templates_shared ON order_templates (company_id, name) WHERE company_id IS NOT NULL;
CREATE INDEX order_templates_customer ON order_templates (customer_id, id);
CREATE INDEX order_templates_company ON order_templates (company_id, id);

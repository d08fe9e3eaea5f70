-- Named lists of what is ordered again: of a customer, or of a company where it is shared.
CREATE TABLE order_templates (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    customer_id uuid,
    company_id uuid,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT order_templates_whose CHECK (customer_id IS NOT NULL OR company_id IS NOT NULL)
);
CREATE UNIQUE INDEX order_templates_own ON order_templates (customer_id, name) WHERE company_id IS NULL;
CREATE UNIQUE INDEX order_templates_shared ON order_templates (company_id, name) WHERE company_id IS NOT NULL;
CREATE INDEX order_templates_customer ON order_templates (customer_id, id);
CREATE INDEX order_templates_company ON order_templates (company_id, id);

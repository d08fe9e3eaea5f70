-- What suppliers who ship to our customers have said of the fulfilment orders at their locations. One of which nothing has been said has no row.
CREATE TABLE supplier_orders (
    fulfilment_order_id uuid PRIMARY KEY REFERENCES fulfilment_orders (id),
    state text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'acknowledged', 'refused')),
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- What they charge us for it. A number is one invoice of the fulfilment order, however often it is reported.
CREATE TABLE supplier_invoices (
    fulfilment_order_id uuid NOT NULL REFERENCES supplier_orders (fulfilment_order_id),
    number text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    net bigint NOT NULL CHECK (net >= 0),
    tax bigint NOT NULL CHECK (tax >= 0),
    issued_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (fulfilment_order_id, number)
);

-- What suppliers who ship to our customers have said of the fulfilment orders at their locations. One of which nothing has been said has no row.
CREATE TABLE supplier_orders (
    fulfilment_order_id BLOB PRIMARY KEY REFERENCES fulfilment_orders (id),
    state TEXT NOT NULL CHECK (state IN ('pending', 'acknowledged', 'refused')),
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What they charge us for it. A number is one invoice of the fulfilment order, however often it is reported.
CREATE TABLE supplier_invoices (
    fulfilment_order_id BLOB NOT NULL REFERENCES supplier_orders (fulfilment_order_id),
    number TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    net INTEGER NOT NULL CHECK (net >= 0),
    tax INTEGER NOT NULL CHECK (tax >= 0),
    issued_at TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    PRIMARY KEY (fulfilment_order_id, number)
) STRICT, WITHOUT ROWID;

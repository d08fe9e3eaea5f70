-- What a customer orders again and again, by the calendar.
CREATE TABLE recurring_orders (
    id BLOB PRIMARY KEY,
    channel_id BLOB NOT NULL,
    customer_id BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'paused', 'cancelled')),
    next_at TEXT NOT NULL,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX recurring_orders_customer ON recurring_orders (customer_id, id);
CREATE INDEX recurring_orders_due ON recurring_orders (next_at) WHERE state = 'active';

-- What came of each date: there is one order of it at most.
CREATE TABLE recurring_runs (
    recurring_id BLOB NOT NULL REFERENCES recurring_orders (id),
    due_at TEXT NOT NULL,
    cart_id BLOB NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('placing', 'ordered', 'failed', 'skipped')),
    order_id BLOB,
    failure TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (recurring_id, due_at),
    CONSTRAINT recurring_runs_ordered CHECK ((state = 'ordered') = (order_id IS NOT NULL))
) STRICT;

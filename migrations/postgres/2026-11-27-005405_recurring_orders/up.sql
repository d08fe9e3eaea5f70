-- What a customer orders again and again, by the calendar.
CREATE TABLE recurring_orders (
    id uuid PRIMARY KEY,
    channel_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('active', 'paused', 'cancelled')),
    next_at timestamptz NOT NULL,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX recurring_orders_customer ON recurring_orders (customer_id, id);
CREATE INDEX recurring_orders_due ON recurring_orders (next_at) WHERE state = 'active';

-- What came of each date: there is one order of it at most.
CREATE TABLE recurring_runs (
    recurring_id uuid NOT NULL REFERENCES recurring_orders (id),
    due_at timestamptz NOT NULL,
    cart_id uuid NOT NULL UNIQUE,
    state text COLLATE "C" NOT NULL CHECK (state IN ('placing', 'ordered', 'failed', 'skipped')),
    order_id uuid,
    failure text COLLATE "C",
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (recurring_id, due_at),
    CONSTRAINT recurring_runs_ordered CHECK ((state = 'ordered') = (order_id IS NOT NULL))
);

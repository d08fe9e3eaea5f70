-- Changes of placed orders that are being worked out, and those that were made or given up. An order has one open amendment at most.
CREATE TABLE amendments (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id),
    state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'confirmed', 'abandoned', 'expired')),
    order_version bigint NOT NULL,
    version bigint NOT NULL,
    opened_by text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    doc jsonb NOT NULL,
    CHECK ((state = 'open') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX amendments_open ON amendments (order_id) WHERE state = 'open';
CREATE INDEX amendments_order ON amendments (order_id, created_at);

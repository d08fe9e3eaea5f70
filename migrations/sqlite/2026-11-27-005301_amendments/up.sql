-- Changes of placed orders that are being worked out, and those that were made or given up. An order has one open amendment at most.
CREATE TABLE amendments (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL REFERENCES orders (id),
    state TEXT NOT NULL CHECK (state IN ('open', 'confirmed', 'abandoned', 'expired')),
    order_version INTEGER NOT NULL,
    version INTEGER NOT NULL,
    opened_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    ended_at TEXT,
    doc TEXT NOT NULL,
    CHECK ((state = 'open') = (ended_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX amendments_open ON amendments (order_id) WHERE state = 'open';
CREATE INDEX amendments_order ON amendments (order_id, created_at);

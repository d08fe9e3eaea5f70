-- What somebody decided about a step of an order's process: tried again, done without, or taken back. Rows are only ever added.
CREATE TABLE process_decisions (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL REFERENCES orders (id),
    step TEXT NOT NULL,
    subject TEXT,
    decision TEXT NOT NULL,
    reason TEXT,
    actor TEXT NOT NULL,
    decided_at TEXT NOT NULL
) STRICT;
CREATE INDEX process_decisions_order ON process_decisions (order_id, decided_at);

-- What somebody decided about a step of an order's process: tried again, done without, or taken back. Rows are only ever added.
CREATE TABLE process_decisions (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id),
    step text COLLATE "C" NOT NULL,
    subject text COLLATE "C",
    decision text COLLATE "C" NOT NULL,
    reason text COLLATE "C",
    actor text COLLATE "C" NOT NULL,
    decided_at timestamptz NOT NULL
);
CREATE INDEX process_decisions_order ON process_decisions (order_id, decided_at);

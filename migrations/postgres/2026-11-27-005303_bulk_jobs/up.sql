-- What is done to many orders, and what has become of it for each of them: each is taken once.
CREATE TABLE bulk_jobs (
    id uuid PRIMARY KEY,
    command text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('running', 'done')),
    started_by text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    doc jsonb NOT NULL,
    CHECK ((state = 'running') = (ended_at IS NULL))
);
CREATE INDEX bulk_jobs_time ON bulk_jobs (created_at, id);

CREATE TABLE bulk_items (
    bulk_id uuid NOT NULL REFERENCES bulk_jobs (id),
    order_id uuid NOT NULL REFERENCES orders (id),
    number text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'done', 'refused')),
    code text COLLATE "C",
    detail text COLLATE "C",
    PRIMARY KEY (bulk_id, order_id),
    CHECK ((state = 'refused') = (code IS NOT NULL))
);
CREATE INDEX bulk_items_state ON bulk_items (bulk_id, state, order_id);

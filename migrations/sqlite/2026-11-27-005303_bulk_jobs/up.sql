-- What is done to many orders, and what has become of it for each of them: each is taken once.
CREATE TABLE bulk_jobs (
    id BLOB PRIMARY KEY,
    command TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'done')),
    started_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    ended_at TEXT,
    doc TEXT NOT NULL,
    CHECK ((state = 'running') = (ended_at IS NULL))
) STRICT;
CREATE INDEX bulk_jobs_time ON bulk_jobs (created_at, id);

CREATE TABLE bulk_items (
    bulk_id BLOB NOT NULL REFERENCES bulk_jobs (id),
    order_id BLOB NOT NULL REFERENCES orders (id),
    number TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'done', 'refused')),
    code TEXT,
    detail TEXT,
    PRIMARY KEY (bulk_id, order_id),
    CHECK ((state = 'refused') = (code IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX bulk_items_state ON bulk_items (bulk_id, state, order_id);

-- Runs over a connector's far end: what it has of the orders of a stretch of the log. One at a time for each connector.
CREATE TABLE connector_runs (
    id BLOB PRIMARY KEY,
    connector_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    -- How far the stretch has been looked through for orders, and where it ends.
    position INTEGER NOT NULL,
    until INTEGER NOT NULL,
    -- How many of its orders are being sent.
    sending INTEGER NOT NULL DEFAULT 0 CHECK (sending >= 0),
    -- The night that it was begun for by itself.
    night TEXT,
    differences INTEGER NOT NULL DEFAULT 0 CHECK (differences >= 0),
    closed_at TEXT,
    doc TEXT NOT NULL,
    created_at TEXT NOT NULL,
    ended_at TEXT
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX connector_runs_running ON connector_runs (connector_id) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX connector_runs_night ON connector_runs (connector_id, night) WHERE night IS NOT NULL;
CREATE INDEX connector_runs_kind ON connector_runs (connector_id, kind, id);
CREATE INDEX connector_runs_open ON connector_runs (ended_at, id) WHERE differences > 0 AND closed_at IS NULL;
CREATE INDEX connector_runs_ended ON connector_runs (ended_at) WHERE ended_at IS NOT NULL;
-- What came of each order of a run.
CREATE TABLE connector_run_items (
    run_id BLOB NOT NULL,
    order_id TEXT NOT NULL,
    connector_id BLOB NOT NULL,
    channel_id BLOB,
    state TEXT NOT NULL,
    -- The event that was sent last.
    sent_to INTEGER NOT NULL DEFAULT 0,
    job_id BLOB,
    doc TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (run_id, order_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX connector_run_items_state ON connector_run_items (run_id, state, order_id);
CREATE INDEX connector_run_items_connector ON connector_run_items (connector_id);

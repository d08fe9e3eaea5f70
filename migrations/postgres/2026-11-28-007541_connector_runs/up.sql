-- Runs over a connector's far end: what it has of the orders of a stretch of the log. One at a time for each connector.
CREATE TABLE connector_runs (
    id uuid PRIMARY KEY,
    connector_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    -- How far the stretch has been looked through for orders, and where it ends.
    position bigint NOT NULL,
    until bigint NOT NULL,
    -- How many of its orders are being sent.
    sending bigint NOT NULL DEFAULT 0 CHECK (sending >= 0),
    -- The night that it was begun for by itself.
    night text COLLATE "C",
    differences bigint NOT NULL DEFAULT 0 CHECK (differences >= 0),
    closed_at timestamptz,
    doc jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE UNIQUE INDEX connector_runs_running ON connector_runs (connector_id) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX connector_runs_night ON connector_runs (connector_id, night) WHERE night IS NOT NULL;
CREATE INDEX connector_runs_kind ON connector_runs (connector_id, kind, id);
CREATE INDEX connector_runs_open ON connector_runs (ended_at, id) WHERE differences > 0 AND closed_at IS NULL;
CREATE INDEX connector_runs_ended ON connector_runs (ended_at) WHERE ended_at IS NOT NULL;
-- What came of each order of a run.
CREATE TABLE connector_run_items (
    run_id uuid NOT NULL,
    order_id text COLLATE "C" NOT NULL,
    connector_id uuid NOT NULL,
    channel_id uuid,
    state text COLLATE "C" NOT NULL,
    -- The event that was sent last.
    sent_to bigint NOT NULL DEFAULT 0,
    job_id uuid,
    doc jsonb NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, order_id)
);
CREATE INDEX connector_run_items_state ON connector_run_items (run_id, state, order_id);
CREATE INDEX connector_run_items_connector ON connector_run_items (connector_id);

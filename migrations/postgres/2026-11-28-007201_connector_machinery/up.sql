-- How many jobs of a lane run at once, in all processes together, and until when none is begun.
CREATE TABLE job_lanes (
    lane text COLLATE "C" PRIMARY KEY,
    places bigint CHECK (places > 0),
    closed_until timestamptz
);
-- Whether a connector's far end answers: failures in a row, and since when nothing but probes goes there.
CREATE TABLE connector_breakers (
    connector_id uuid PRIMARY KEY,
    failures bigint NOT NULL CHECK (failures >= 0),
    opens bigint NOT NULL CHECK (opens >= 0),
    opened_at timestamptz,
    retry_at timestamptz,
    reason text COLLATE "C",
    updated_at timestamptz NOT NULL
);
-- The tries of dispatches that did not succeed.
CREATE TABLE dispatch_attempts (
    dispatch_id uuid NOT NULL,
    attempt bigint NOT NULL,
    connector_id uuid NOT NULL,
    stream text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    status bigint,
    doc jsonb NOT NULL,
    sent text COLLATE "C",
    response text COLLATE "C",
    PRIMARY KEY (dispatch_id, attempt)
);
CREATE INDEX dispatch_attempts_connector ON dispatch_attempts (connector_id, at);
CREATE INDEX dispatch_attempts_stream ON dispatch_attempts (stream);
CREATE INDEX dispatch_attempts_at ON dispatch_attempts (at);
-- What a connector's far end calls our objects.
CREATE TABLE connector_links (
    connector_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    object text COLLATE "C" NOT NULL,
    object_id text COLLATE "C" NOT NULL,
    doc jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (connector_id, kind, value)
);
CREATE INDEX connector_links_object ON connector_links (connector_id, object_id, kind);
-- How a connector writes the far end's documents: every version of its mapping.
CREATE TABLE connector_mappings (
    connector_id uuid NOT NULL,
    version bigint NOT NULL,
    doc jsonb NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (connector_id, version)
);
-- How far a connector has read what changed at the far end.
CREATE TABLE connector_pulls (
    connector_id uuid PRIMARY KEY,
    cursor jsonb NOT NULL,
    pulled_at timestamptz NOT NULL,
    error text COLLATE "C"
);

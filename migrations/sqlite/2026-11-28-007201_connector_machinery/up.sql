-- How many jobs of a lane run at once, in all processes together, and until when none is begun.
CREATE TABLE job_lanes (
    lane TEXT PRIMARY KEY,
    places INTEGER CHECK (places > 0),
    closed_until TEXT
) STRICT, WITHOUT ROWID;
-- Whether a connector's far end answers: failures in a row, and since when nothing but probes goes there.
CREATE TABLE connector_breakers (
    connector_id BLOB PRIMARY KEY,
    failures INTEGER NOT NULL CHECK (failures >= 0),
    opens INTEGER NOT NULL CHECK (opens >= 0),
    opened_at TEXT,
    retry_at TEXT,
    reason TEXT,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- The tries of dispatches that did not succeed.
CREATE TABLE dispatch_attempts (
    dispatch_id BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    connector_id BLOB NOT NULL,
    stream TEXT NOT NULL,
    at TEXT NOT NULL,
    status INTEGER,
    doc TEXT NOT NULL,
    sent TEXT,
    response TEXT,
    PRIMARY KEY (dispatch_id, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX dispatch_attempts_connector ON dispatch_attempts (connector_id, at);
CREATE INDEX dispatch_attempts_stream ON dispatch_attempts (stream);
CREATE INDEX dispatch_attempts_at ON dispatch_attempts (at);
-- What a connector's far end calls our objects.
CREATE TABLE connector_links (
    connector_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    object TEXT NOT NULL,
    object_id TEXT NOT NULL,
    doc TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (connector_id, kind, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX connector_links_object ON connector_links (connector_id, object_id, kind);
-- How a connector writes the far end's documents: every version of its mapping.
CREATE TABLE connector_mappings (
    connector_id BLOB NOT NULL,
    version INTEGER NOT NULL,
    doc TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (connector_id, version)
) STRICT, WITHOUT ROWID;
-- How far a connector has read what changed at the far end.
CREATE TABLE connector_pulls (
    connector_id BLOB PRIMARY KEY,
    cursor TEXT NOT NULL,
    pulled_at TEXT NOT NULL,
    error TEXT
) STRICT, WITHOUT ROWID;

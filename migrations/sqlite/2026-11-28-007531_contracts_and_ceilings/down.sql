DROP TABLE given_alone;
CREATE TABLE countersign_requests_new (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('refund', 'override', 'bulk')),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'declined', 'withdrawn', 'done', 'refused')),
    channel_id BLOB,
    order_id BLOB,
    asked_by TEXT NOT NULL,
    decided_by TEXT,
    doc TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT countersign_requests_decided CHECK ((state = 'waiting') = (decided_by IS NULL)),
    CONSTRAINT countersign_requests_second CHECK (state IN ('waiting', 'withdrawn') OR decided_by <> asked_by)
) STRICT;
INSERT INTO countersign_requests_new SELECT * FROM countersign_requests WHERE kind IN ('refund', 'override', 'bulk');
DROP TABLE countersign_requests;
ALTER TABLE countersign_requests_new RENAME TO countersign_requests;
CREATE INDEX countersign_requests_state ON countersign_requests (state, id);
CREATE INDEX countersign_requests_order ON countersign_requests (order_id, id) WHERE order_id IS NOT NULL;
ALTER TABLE price_lists DROP COLUMN terms;

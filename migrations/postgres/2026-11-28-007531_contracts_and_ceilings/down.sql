DROP TABLE given_alone;
LOCK TABLE countersign_requests IN ACCESS EXCLUSIVE MODE;
CREATE TABLE countersign_requests_new (
    id uuid PRIMARY KEY,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('refund', 'override', 'bulk')),
    state text COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'approved', 'declined', 'withdrawn', 'done', 'refused')),
    channel_id uuid,
    order_id uuid,
    asked_by text COLLATE "C" NOT NULL,
    decided_by text COLLATE "C",
    doc jsonb NOT NULL,
    expires_at timestamptz NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT countersign_requests_decided CHECK ((state = 'waiting') = (decided_by IS NULL)),
    CONSTRAINT countersign_requests_second CHECK (state IN ('waiting', 'withdrawn') OR decided_by <> asked_by)
);
INSERT INTO countersign_requests_new SELECT * FROM countersign_requests WHERE kind IN ('refund', 'override', 'bulk');
DROP TABLE countersign_requests;
ALTER TABLE countersign_requests_new RENAME TO countersign_requests;
CREATE INDEX countersign_requests_state ON countersign_requests (state, id);
CREATE INDEX countersign_requests_order ON countersign_requests (order_id, id) WHERE order_id IS NOT NULL;
ALTER TABLE price_lists DROP COLUMN terms;

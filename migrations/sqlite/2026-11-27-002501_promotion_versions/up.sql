-- Every version of every promotion, as it was: one row for each, written in the transaction that makes it, never changed and never
-- dropped. `version` is what orders name (`promotions[].version`). Of promotions that are there already the version of now is kept; who
-- made it, nobody has noted.
CREATE TABLE promotion_versions (
    promotion_id BLOB NOT NULL REFERENCES promotions (id),
    version INTEGER NOT NULL,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    channel_id BLOB,
    priority INTEGER NOT NULL,
    valid_from TEXT,
    valid_until TEXT,
    doc TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    changed_by TEXT,
    reference TEXT,
    PRIMARY KEY (promotion_id, version)
);

INSERT INTO promotion_versions (promotion_id, version, code, name, state, channel_id, priority, valid_from, valid_until, doc, changed_at, changed_by, reference)
SELECT id, version, code, name, state, channel_id, priority, valid_from, valid_until, doc, updated_at, NULL, NULL FROM promotions;

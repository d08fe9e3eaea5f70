-- Every version of every promotion, as it was: one row for each, written in the transaction that makes it, never changed and never
-- dropped. `version` is what orders name (`promotions[].version`). Of promotions that are there already the version of now is kept; who
-- made it, nobody has noted.
CREATE TABLE promotion_versions (
    promotion_id uuid NOT NULL REFERENCES promotions (id),
    version bigint NOT NULL,
    code text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    channel_id uuid,
    priority bigint NOT NULL,
    valid_from timestamptz,
    valid_until timestamptz,
    doc jsonb NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text COLLATE "C",
    reference text COLLATE "C",
    PRIMARY KEY (promotion_id, version)
);

INSERT INTO promotion_versions (promotion_id, version, code, name, state, channel_id, priority, valid_from, valid_until, doc, changed_at, changed_by, reference)
SELECT id, version, code, name, state, channel_id, priority, valid_from, valid_until, doc, updated_at, NULL, NULL FROM promotions;

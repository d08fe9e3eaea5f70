-- Rules that propose prices, what they have proposed, and how often a day each price was changed by them.
CREATE TABLE price_rules (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('draft', 'active', 'paused', 'ended')),
    price_list_id BLOB NOT NULL REFERENCES price_lists (id),
    reference_list_id BLOB NOT NULL REFERENCES price_lists (id),
    -- The list's channel, which never changes: who may see the list may see its rules.
    list_channel_id BLOB,
    channel_id BLOB REFERENCES channels (id),
    doc TEXT NOT NULL,
    next_run_at TEXT,
    last_run TEXT,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX price_rules_due ON price_rules (next_run_at) WHERE state = 'active';

CREATE TABLE price_proposals (
    id BLOB PRIMARY KEY,
    rule_id BLOB NOT NULL REFERENCES price_rules (id),
    rule_version INTEGER NOT NULL,
    price_list_id BLOB NOT NULL,
    variant_id BLOB NOT NULL,
    sku TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'applied', 'rejected', 'superseded', 'stale')),
    from_amount INTEGER,
    to_amount INTEGER NOT NULL CHECK (to_amount > 0),
    reference_amount INTEGER NOT NULL,
    doc TEXT NOT NULL,
    day TEXT,
    decided_by TEXT,
    decided_at TEXT,
    created_at TEXT NOT NULL,
    CHECK ((state = 'open') = (decided_at IS NULL)),
    CHECK ((state = 'applied') = (day IS NOT NULL))
) STRICT;
-- Of a rule and an article one is open at most.
CREATE UNIQUE INDEX price_proposals_open ON price_proposals (rule_id, price_list_id, variant_id) WHERE state = 'open';
CREATE INDEX price_proposals_rule ON price_proposals (rule_id, id);
CREATE INDEX price_proposals_state ON price_proposals (state, id);
CREATE INDEX price_proposals_variant ON price_proposals (variant_id, id);
CREATE INDEX price_proposals_decided ON price_proposals (decided_at) WHERE state IN ('rejected', 'superseded', 'stale');

-- `most` is what the rule allowed that changed it last.
CREATE TABLE price_rule_days (
    price_list_id BLOB NOT NULL,
    variant_id BLOB NOT NULL,
    day TEXT NOT NULL,
    changes INTEGER NOT NULL,
    most INTEGER NOT NULL,
    PRIMARY KEY (price_list_id, variant_id, day),
    CONSTRAINT price_rule_days_most CHECK (changes > 0 AND changes <= most)
) STRICT, WITHOUT ROWID;
CREATE INDEX price_rule_days_variant ON price_rule_days (variant_id, day);
CREATE INDEX price_rule_days_day ON price_rule_days (day);

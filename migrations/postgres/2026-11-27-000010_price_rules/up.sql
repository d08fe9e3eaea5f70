-- Rules that propose prices, what they have proposed, and how often a day each price was changed by them.
CREATE TABLE price_rules (
    id uuid PRIMARY KEY,
    code text COLLATE "C" NOT NULL UNIQUE,
    name text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('draft', 'active', 'paused', 'ended')),
    price_list_id uuid NOT NULL REFERENCES price_lists (id),
    reference_list_id uuid NOT NULL REFERENCES price_lists (id),
    -- The list's channel, which never changes: who may see the list may see its rules.
    list_channel_id uuid,
    channel_id uuid REFERENCES channels (id),
    doc jsonb NOT NULL,
    next_run_at timestamptz,
    last_run jsonb,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX price_rules_due ON price_rules (next_run_at) WHERE state = 'active';

CREATE TABLE price_proposals (
    id uuid PRIMARY KEY,
    rule_id uuid NOT NULL REFERENCES price_rules (id),
    rule_version bigint NOT NULL,
    price_list_id uuid NOT NULL,
    variant_id uuid NOT NULL,
    sku text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'applied', 'rejected', 'superseded', 'stale')),
    from_amount bigint,
    to_amount bigint NOT NULL CHECK (to_amount > 0),
    reference_amount bigint NOT NULL,
    doc jsonb NOT NULL,
    day text COLLATE "C",
    decided_by text COLLATE "C",
    decided_at timestamptz,
    created_at timestamptz NOT NULL,
    CHECK ((state = 'open') = (decided_at IS NULL)),
    CHECK ((state = 'applied') = (day IS NOT NULL))
);
-- Of a rule and an article one is open at most.
CREATE UNIQUE INDEX price_proposals_open ON price_proposals (rule_id, price_list_id, variant_id) WHERE state = 'open';
CREATE INDEX price_proposals_rule ON price_proposals (rule_id, id);
CREATE INDEX price_proposals_state ON price_proposals (state, id);
CREATE INDEX price_proposals_variant ON price_proposals (variant_id, id);
CREATE INDEX price_proposals_decided ON price_proposals (decided_at) WHERE state IN ('rejected', 'superseded', 'stale');

-- `most` is what the rule allowed that changed it last.
CREATE TABLE price_rule_days (
    price_list_id uuid NOT NULL,
    variant_id uuid NOT NULL,
    day text COLLATE "C" NOT NULL,
    changes bigint NOT NULL,
    most bigint NOT NULL,
    PRIMARY KEY (price_list_id, variant_id, day),
    CONSTRAINT price_rule_days_most CHECK (changes > 0 AND changes <= most)
);
CREATE INDEX price_rule_days_variant ON price_rule_days (variant_id, day);
CREATE INDEX price_rule_days_day ON price_rule_days (day);

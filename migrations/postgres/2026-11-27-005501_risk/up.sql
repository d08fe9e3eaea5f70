-- The rules by which a channel's checkouts are judged: each row is a version, the newest is live. Versions stay, for assessments name them.
CREATE TABLE risk_profiles (
    channel_id uuid NOT NULL REFERENCES channels (id),
    version bigint NOT NULL CHECK (version > 0),
    doc jsonb NOT NULL,
    made_by text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (channel_id, version)
);

-- What was found when somebody was about to order, and what became of it. `fired` are the names of the rules that did.
CREATE TABLE risk_assessments (
    id uuid NOT NULL PRIMARY KEY,
    channel_id uuid NOT NULL REFERENCES channels (id),
    cart_id uuid NOT NULL,
    order_id uuid,
    decision text COLLATE "C" NOT NULL CHECK (decision IN ('accept', 'hold', 'decline')),
    score bigint NOT NULL CHECK (score >= 0),
    profile_version bigint NOT NULL,
    doc jsonb NOT NULL,
    fired jsonb NOT NULL,
    outcome text COLLATE "C" CHECK (outcome IN ('legitimate', 'fraud', 'loss')),
    judged_at timestamptz,
    judged_by text COLLATE "C",
    note text COLLATE "C",
    assessed_at timestamptz NOT NULL,
    CHECK ((outcome IS NULL) = (judged_at IS NULL)),
    CHECK (decision <> 'decline' OR order_id IS NULL)
);
CREATE UNIQUE INDEX risk_assessments_order ON risk_assessments (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX risk_assessments_cart ON risk_assessments (cart_id, id);
CREATE INDEX risk_assessments_channel ON risk_assessments (channel_id, assessed_at);
CREATE INDEX risk_assessments_time ON risk_assessments (assessed_at, id);
CREATE INDEX risk_assessments_decision ON risk_assessments (decision, assessed_at, id);

-- What the shopper of an assessment is known by, as keyed hashes: how often it came, and whether something was lost by it.
CREATE TABLE risk_marks (
    assessment_id uuid NOT NULL REFERENCES risk_assessments (id),
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('email', 'domain', 'network', 'device', 'card', 'address', 'customer')),
    hash text COLLATE "C" NOT NULL,
    cart_id uuid NOT NULL,
    marked_at timestamptz NOT NULL,
    lost_at timestamptz,
    PRIMARY KEY (assessment_id, kind)
);
CREATE INDEX risk_marks_hash ON risk_marks (kind, hash, marked_at);
CREATE INDEX risk_marks_lost ON risk_marks (kind, hash) WHERE lost_at IS NOT NULL;
CREATE INDEX risk_marks_cart ON risk_marks (cart_id);

-- Who is always let through, and who never is: by a keyed hash; `hint` tells staff which it is.
CREATE TABLE risk_entries (
    id uuid NOT NULL PRIMARY KEY,
    list text COLLATE "C" NOT NULL CHECK (list IN ('allow', 'block')),
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('email', 'domain', 'network', 'device', 'card', 'address', 'customer')),
    hash text COLLATE "C" NOT NULL,
    hint text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    until_at timestamptz,
    made_by text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL,
    UNIQUE (kind, hash)
);

-- How many coupon codes were refused at a cart.
CREATE TABLE risk_code_tries (
    cart_id uuid NOT NULL PRIMARY KEY,
    tries bigint NOT NULL CHECK (tries > 0),
    tried_at timestamptz NOT NULL
);
CREATE INDEX risk_code_tries_time ON risk_code_tries (tried_at);

-- The rules by which a channel's checkouts are judged: each row is a version, the newest is live. Versions stay, for assessments name them.
CREATE TABLE risk_profiles (
    channel_id BLOB NOT NULL REFERENCES channels (id),
    version INTEGER NOT NULL CHECK (version > 0),
    doc TEXT NOT NULL,
    made_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (channel_id, version)
) STRICT, WITHOUT ROWID;

-- What was found when somebody was about to order, and what became of it. `fired` are the names of the rules that did.
CREATE TABLE risk_assessments (
    id BLOB NOT NULL PRIMARY KEY,
    channel_id BLOB NOT NULL REFERENCES channels (id),
    cart_id BLOB NOT NULL,
    order_id BLOB,
    decision TEXT NOT NULL CHECK (decision IN ('accept', 'hold', 'decline')),
    score INTEGER NOT NULL CHECK (score >= 0),
    profile_version INTEGER NOT NULL,
    doc TEXT NOT NULL,
    fired TEXT NOT NULL,
    outcome TEXT CHECK (outcome IN ('legitimate', 'fraud', 'loss')),
    judged_at TEXT,
    judged_by TEXT,
    note TEXT,
    assessed_at TEXT NOT NULL,
    CHECK ((outcome IS NULL) = (judged_at IS NULL)),
    CHECK (decision <> 'decline' OR order_id IS NULL)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX risk_assessments_order ON risk_assessments (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX risk_assessments_cart ON risk_assessments (cart_id, id);
CREATE INDEX risk_assessments_channel ON risk_assessments (channel_id, assessed_at);
CREATE INDEX risk_assessments_time ON risk_assessments (assessed_at, id);
CREATE INDEX risk_assessments_decision ON risk_assessments (decision, assessed_at, id);

-- What the shopper of an assessment is known by, as keyed hashes: how often it came, and whether something was lost by it.
CREATE TABLE risk_marks (
    assessment_id BLOB NOT NULL REFERENCES risk_assessments (id),
    kind TEXT NOT NULL CHECK (kind IN ('email', 'domain', 'network', 'device', 'card', 'address', 'customer')),
    hash TEXT NOT NULL,
    cart_id BLOB NOT NULL,
    marked_at TEXT NOT NULL,
    lost_at TEXT,
    PRIMARY KEY (assessment_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX risk_marks_hash ON risk_marks (kind, hash, marked_at);
CREATE INDEX risk_marks_lost ON risk_marks (kind, hash) WHERE lost_at IS NOT NULL;
CREATE INDEX risk_marks_cart ON risk_marks (cart_id);

-- Who is always let through, and who never is: by a keyed hash; `hint` tells staff which it is.
CREATE TABLE risk_entries (
    id BLOB NOT NULL PRIMARY KEY,
    list TEXT NOT NULL CHECK (list IN ('allow', 'block')),
    kind TEXT NOT NULL CHECK (kind IN ('email', 'domain', 'network', 'device', 'card', 'address', 'customer')),
    hash TEXT NOT NULL,
    hint TEXT NOT NULL,
    reason TEXT NOT NULL,
    until_at TEXT,
    made_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    version INTEGER NOT NULL,
    UNIQUE (kind, hash)
) STRICT, WITHOUT ROWID;

-- How many coupon codes were refused at a cart.
CREATE TABLE risk_code_tries (
    cart_id BLOB NOT NULL PRIMARY KEY,
    tries INTEGER NOT NULL CHECK (tries > 0),
    tried_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX risk_code_tries_time ON risk_code_tries (tried_at);

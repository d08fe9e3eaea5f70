-- Declarations that somebody withdraws from a contract (Directive 2011/83/EU, Articles 9 to 16): declared, then confirmed. The
-- acknowledgement is the text of which sha256 is the hash, and nothing changes it.
CREATE TABLE withdrawals (
    id BLOB NOT NULL PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    order_id BLOB NOT NULL REFERENCES orders (id),
    order_number TEXT NOT NULL,
    channel_id BLOB NOT NULL REFERENCES channels (id),
    state TEXT NOT NULL,
    doc TEXT NOT NULL,
    document TEXT,
    sha256 TEXT CHECK (length(sha256) = 64),
    declared_at TEXT NOT NULL,
    confirmed_at TEXT,
    -- Until when the money has to be back; empty once it is.
    refund_due_at TEXT,
    -- Who was told that it is due: 0 nobody, 1 that it soon is, 2 that it was.
    told INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX withdrawals_order ON withdrawals (order_id);
CREATE INDEX withdrawals_due ON withdrawals (refund_due_at, id) WHERE refund_due_at IS NOT NULL;

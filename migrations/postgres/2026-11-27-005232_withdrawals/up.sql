-- Declarations that somebody withdraws from a contract (Directive 2011/83/EU, Articles 9 to 16): declared, then confirmed. The
-- acknowledgement is the text of which sha256 is the hash, and nothing changes it.
CREATE TABLE withdrawals (
    id uuid NOT NULL PRIMARY KEY,
    number text COLLATE "C" NOT NULL UNIQUE,
    order_id uuid NOT NULL REFERENCES orders (id),
    order_number text COLLATE "C" NOT NULL,
    channel_id uuid NOT NULL REFERENCES channels (id),
    state text COLLATE "C" NOT NULL,
    doc jsonb NOT NULL,
    document text COLLATE "C",
    sha256 text COLLATE "C" CHECK (length(sha256) = 64),
    declared_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    -- Until when the money has to be back; empty once it is.
    refund_due_at timestamptz,
    -- Who was told that it is due: 0 nobody, 1 that it soon is, 2 that it was.
    told bigint NOT NULL DEFAULT 0,
    version bigint NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX withdrawals_order ON withdrawals (order_id);
CREATE INDEX withdrawals_due ON withdrawals (refund_due_at, id) WHERE refund_due_at IS NOT NULL;

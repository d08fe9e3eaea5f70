-- Who is to be told when goods come back. One waits once for an article in a channel; what was told is kept for a while, as evidence
-- of what they had asked for. Told in the order of their ids, which begin with the time.
CREATE TABLE back_in_stock (
    id uuid NOT NULL PRIMARY KEY,
    channel_id uuid NOT NULL REFERENCES channels (id),
    variant_id uuid NOT NULL REFERENCES variants (id),
    customer_id uuid,
    email text COLLATE "C" NOT NULL,
    email_folded text COLLATE "C" NOT NULL,
    locale text COLLATE "C",
    consent_text text COLLATE "C",
    state text COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'told')),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    told_at timestamptz,
    CHECK ((state = 'told') = (told_at IS NOT NULL))
);
CREATE UNIQUE INDEX back_in_stock_once ON back_in_stock (channel_id, variant_id, email_folded) WHERE state = 'waiting';
CREATE INDEX back_in_stock_waiting ON back_in_stock (variant_id, channel_id, id) WHERE state = 'waiting';
CREATE INDEX back_in_stock_expiry ON back_in_stock (expires_at) WHERE state = 'waiting';
CREATE INDEX back_in_stock_told ON back_in_stock (told_at) WHERE state = 'told';
CREATE INDEX back_in_stock_customer ON back_in_stock (customer_id, id) WHERE customer_id IS NOT NULL;
CREATE INDEX back_in_stock_email ON back_in_stock (email_folded);

-- For how many pieces of an article somebody has been told already in a channel: no piece is promised to two.
CREATE TABLE back_in_stock_waves (
    variant_id uuid NOT NULL REFERENCES variants (id),
    channel_id uuid NOT NULL REFERENCES channels (id),
    told_for bigint NOT NULL CHECK (told_for >= 0),
    told_at timestamptz NOT NULL,
    PRIMARY KEY (variant_id, channel_id)
);

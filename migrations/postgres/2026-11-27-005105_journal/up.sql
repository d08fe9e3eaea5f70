-- The journal: every posting of every order's ledger once, in the order in which the journal took them.
CREATE TABLE journal_postings (
    position bigint NOT NULL PRIMARY KEY,
    order_id uuid NOT NULL,
    posting text COLLATE "C" NOT NULL,
    channel_id uuid,
    occurred_at timestamptz NOT NULL,
    UNIQUE (order_id, posting)
);
CREATE INDEX journal_postings_time ON journal_postings (occurred_at, position);

-- How far the journal has come: one row, whose lock makes one writer wait for the other.
CREATE TABLE journal_state (
    id bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    last_position bigint NOT NULL CHECK (last_position >= 0),
    read_to timestamptz
);

-- The numbers that a legal entity's bookkeeping has for our accounts.
CREATE TABLE journal_accounts (
    legal_entity_id uuid NOT NULL PRIMARY KEY REFERENCES legal_entities (id),
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    updated_at timestamptz NOT NULL
);

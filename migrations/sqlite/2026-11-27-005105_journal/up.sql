-- The journal: every posting of every order's ledger once, in the order in which the journal took them.
CREATE TABLE journal_postings (
    position INTEGER NOT NULL PRIMARY KEY,
    order_id BLOB NOT NULL,
    posting TEXT NOT NULL,
    channel_id BLOB,
    occurred_at TEXT NOT NULL,
    UNIQUE (order_id, posting)
) STRICT, WITHOUT ROWID;
CREATE INDEX journal_postings_time ON journal_postings (occurred_at, position);

-- How far the journal has come: one row, whose lock makes one writer wait for the other.
CREATE TABLE journal_state (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    last_position INTEGER NOT NULL CHECK (last_position >= 0),
    read_to TEXT
) STRICT, WITHOUT ROWID;

-- The numbers that a legal entity's bookkeeping has for our accounts.
CREATE TABLE journal_accounts (
    legal_entity_id BLOB NOT NULL PRIMARY KEY REFERENCES legal_entities (id),
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

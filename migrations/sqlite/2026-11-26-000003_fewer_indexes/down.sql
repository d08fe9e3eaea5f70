CREATE INDEX reservations_variant ON reservations (variant_id, expires_at) WHERE state = 'live';

CREATE TABLE ledger_entries_by_id (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL,
    posting TEXT NOT NULL,
    account TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount INTEGER NOT NULL,
    occurred_at TEXT NOT NULL,
    recorded_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO ledger_entries_by_id SELECT id, order_id, posting, account, currency, amount, occurred_at, recorded_at FROM ledger_entries;
DROP TABLE ledger_entries;
ALTER TABLE ledger_entries_by_id RENAME TO ledger_entries;
CREATE INDEX ledger_entries_order ON ledger_entries (order_id);

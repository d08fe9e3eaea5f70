-- What an older process books meanwhile waits, or it would go with the old table.
LOCK TABLE ledger_entries IN ACCESS EXCLUSIVE MODE;
CREATE TABLE ledger_entries_by_id (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL,
    posting text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    amount bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL
);
INSERT INTO ledger_entries_by_id SELECT id, order_id, posting, account, currency, amount, occurred_at, recorded_at FROM ledger_entries;
DROP TABLE ledger_entries;
ALTER TABLE ledger_entries_by_id RENAME TO ledger_entries;
CREATE INDEX ledger_entries_order ON ledger_entries (order_id);
CREATE INDEX reservations_variant ON reservations (variant_id, expires_at) WHERE state = 'live';

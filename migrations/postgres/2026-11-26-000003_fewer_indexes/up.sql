-- An order's entries lie together: one tree instead of two.
-- What an older process books meanwhile waits, or it would go with the old table.
LOCK TABLE ledger_entries IN ACCESS EXCLUSIVE MODE;
CREATE TABLE ledger_entries_by_order (
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    posting text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    amount bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (order_id, id)
);
INSERT INTO ledger_entries_by_order SELECT id, order_id, posting, account, currency, amount, occurred_at, recorded_at FROM ledger_entries;
DROP TABLE ledger_entries;
ALTER TABLE ledger_entries_by_order RENAME TO ledger_entries;

-- The due ones are few: they are found by their time, and whose variant is wanted is looked at then. Last, so that
-- reservations are locked for a moment only.
DROP INDEX reservations_variant;

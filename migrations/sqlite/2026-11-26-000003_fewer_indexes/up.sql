-- The due ones are few: they are found by their time, and whose variant is wanted is looked at then.
DROP INDEX reservations_variant;

-- An order's entries lie together: one tree instead of two.
CREATE TABLE ledger_entries_by_order (
    id BLOB NOT NULL,
    order_id BLOB NOT NULL,
    posting TEXT NOT NULL,
    account TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount INTEGER NOT NULL,
    occurred_at TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    PRIMARY KEY (order_id, id)
) STRICT, WITHOUT ROWID;
INSERT INTO ledger_entries_by_order SELECT id, order_id, posting, account, currency, amount, occurred_at, recorded_at FROM ledger_entries;
DROP TABLE ledger_entries;
ALTER TABLE ledger_entries_by_order RENAME TO ledger_entries;

-- What customers have paid too much and is kept for them.
CREATE INDEX ledger_entries_unapplied ON ledger_entries (order_id) WHERE account = 'unapplied';

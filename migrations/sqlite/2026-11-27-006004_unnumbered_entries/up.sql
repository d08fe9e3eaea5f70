-- Entries whose postings have no place in the journal yet, in the order in which they were recorded.
CREATE INDEX ledger_entries_unnumbered ON ledger_entries (recorded_at, order_id, posting) WHERE journal_position IS NULL;

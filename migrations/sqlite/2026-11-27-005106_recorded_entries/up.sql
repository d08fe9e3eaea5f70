-- Postings in the order in which they were recorded.
CREATE INDEX ledger_entries_recorded ON ledger_entries (recorded_at);

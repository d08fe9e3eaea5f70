-- The place of an entry's posting in the journal; null until it has one.
ALTER TABLE ledger_entries ADD COLUMN journal_position bigint;

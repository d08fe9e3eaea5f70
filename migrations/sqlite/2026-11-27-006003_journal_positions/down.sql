ALTER TABLE ledger_entries DROP COLUMN journal_position;

ALTER TABLE ledger_entries DROP COLUMN tax;
ALTER TABLE ledger_entries DROP COLUMN rate;
ALTER TABLE ledger_entries DROP COLUMN treatment;
ALTER TABLE ledger_entries DROP COLUMN country;
ALTER TABLE ledger_entries DROP COLUMN channel_id;

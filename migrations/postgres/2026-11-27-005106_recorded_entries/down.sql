DROP INDEX ledger_entries_recorded;

DROP INDEX ledger_entries_unapplied;

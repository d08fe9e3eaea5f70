DROP INDEX ledger_entries_undeclared;

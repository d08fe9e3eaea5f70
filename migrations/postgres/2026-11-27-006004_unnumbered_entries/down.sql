DROP INDEX ledger_entries_unnumbered;

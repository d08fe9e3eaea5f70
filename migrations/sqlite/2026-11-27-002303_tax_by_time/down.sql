DROP INDEX ledger_entries_sold;

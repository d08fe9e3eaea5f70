-- Revenue that a process of an older version has booked: it is told afterwards where and how it is taxed.
CREATE INDEX ledger_entries_undeclared ON ledger_entries (order_id)
WHERE account = 'revenue' AND channel_id IS NULL;

-- The tax of a period is added up from this alone.
CREATE INDEX ledger_entries_sold
ON ledger_entries (occurred_at, channel_id, country, treatment, rate, currency, posting, amount, tax) WHERE account = 'revenue';

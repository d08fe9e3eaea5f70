-- Series of invoices that are not gone on with, since a backup was restored: a list of texts, with `{year}` where they had it. Null: none.
ALTER TABLE legal_entities ADD COLUMN spent_series jsonb;

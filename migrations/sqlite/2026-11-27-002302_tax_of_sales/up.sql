-- What of an order's revenue is taxed where, how and at which rate, beside what it is without tax: on the rows of the account
-- `revenue`, one for each rate. `tax` is what the account `tax` has of it, with the sign of what was sold. Null is not known.
ALTER TABLE ledger_entries ADD COLUMN channel_id BLOB;
ALTER TABLE ledger_entries ADD COLUMN country TEXT;
ALTER TABLE ledger_entries ADD COLUMN treatment TEXT;
ALTER TABLE ledger_entries ADD COLUMN rate TEXT;
ALTER TABLE ledger_entries ADD COLUMN tax INTEGER;
-- What was sold before is told by a schedule, little by little (`fulfilment.declare-sales`).

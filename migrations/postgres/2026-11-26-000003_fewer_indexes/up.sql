-- The due ones are few: they are found by their time, and whose variant is wanted is looked at then.
DROP INDEX reservations_variant;

-- An order's entries lie together: one index instead of two.
ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_pkey;
ALTER TABLE ledger_entries ADD PRIMARY KEY (order_id, id);
DROP INDEX ledger_entries_order;

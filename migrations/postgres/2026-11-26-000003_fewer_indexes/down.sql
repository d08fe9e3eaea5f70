CREATE INDEX reservations_variant ON reservations (variant_id, expires_at) WHERE state = 'live';

CREATE INDEX ledger_entries_order ON ledger_entries (order_id);
ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_pkey;
ALTER TABLE ledger_entries ADD PRIMARY KEY (id);

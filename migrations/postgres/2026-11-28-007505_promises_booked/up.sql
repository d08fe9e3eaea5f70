-- How much of what is promised the ledger has booked.
ALTER TABLE payments ADD COLUMN promise_booked bigint NOT NULL DEFAULT 0;

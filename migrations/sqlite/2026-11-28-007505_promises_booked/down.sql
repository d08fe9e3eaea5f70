DELETE FROM ledger_entries WHERE account IN ('authorised', 'promised');
ALTER TABLE payments DROP COLUMN promise_booked;

-- Payments whose promise the ledger has to book, or to take back.
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_unbooked ON payments (id) WHERE order_id IS NOT NULL AND promise_booked <> CASE WHEN state = 'authorised'
    AND provider <> 'manual' AND provider <> 'on_account' THEN amount - captured - voided ELSE 0 END;

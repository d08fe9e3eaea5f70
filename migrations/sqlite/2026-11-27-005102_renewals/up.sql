-- Until when a provider's promise holds, and when somebody has to look at a payment next: before its promise ends, or, of a payment by
-- hand, because its money should have come by then.
ALTER TABLE payments ADD COLUMN expires_at TEXT;
ALTER TABLE payments ADD COLUMN due_at TEXT;
ALTER TABLE sandbox_payments ADD COLUMN expires_at TEXT;

-- Promises that are asked for anew before the old ones end: of each payment one at most.
CREATE TABLE payment_renewals (
    payment_id BLOB NOT NULL PRIMARY KEY REFERENCES payments (id),
    renewed_id BLOB NOT NULL UNIQUE,
    order_id BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('asked', 'renewed', 'refused', 'dropped')),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount INTEGER NOT NULL CHECK (amount > 0),
    reason TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX payment_renewals_refused ON payment_renewals (updated_at, payment_id) WHERE state = 'refused';

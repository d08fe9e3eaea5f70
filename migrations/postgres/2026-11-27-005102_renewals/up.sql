-- Until when a provider's promise holds, and when somebody has to look at a payment next: before its promise ends, or, of a payment by
-- hand, because its money should have come by then.
ALTER TABLE payments ADD COLUMN expires_at timestamptz;
ALTER TABLE payments ADD COLUMN due_at timestamptz;
ALTER TABLE sandbox_payments ADD COLUMN expires_at timestamptz;

-- Promises that are asked for anew before the old ones end: of each payment one at most.
CREATE TABLE payment_renewals (
    payment_id uuid NOT NULL PRIMARY KEY REFERENCES payments (id),
    renewed_id uuid NOT NULL UNIQUE,
    order_id uuid NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('asked', 'renewed', 'refused', 'dropped')),
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    amount bigint NOT NULL CHECK (amount > 0),
    reason text COLLATE "C",
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX payment_renewals_refused ON payment_renewals (updated_at, payment_id) WHERE state = 'refused';

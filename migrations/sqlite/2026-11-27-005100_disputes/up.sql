-- How much of what was captured banks and providers have taken back, or are about to: it can not be refunded any more.
ALTER TABLE payments ADD COLUMN disputed INTEGER NOT NULL DEFAULT 0 CHECK (disputed >= 0 AND refunded + refund_pending + disputed <= captured);

-- Disputes (chargebacks): one row each. A provider's reference names one of a payment.
CREATE TABLE disputes (
    id BLOB NOT NULL PRIMARY KEY,
    payment_id BLOB NOT NULL REFERENCES payments (id),
    order_id BLOB NOT NULL,
    channel_id BLOB NOT NULL,
    reference TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'won', 'lost', 'accepted')),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount INTEGER NOT NULL CHECK (amount > 0),
    fee INTEGER NOT NULL CHECK (fee >= 0),
    respond_by TEXT,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    opened_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (payment_id, reference)
) STRICT, WITHOUT ROWID;
CREATE INDEX disputes_order ON disputes (order_id);
CREATE INDEX disputes_due ON disputes (coalesce(respond_by, opened_at), id) WHERE state = 'open';

-- How much of what was captured banks and providers have taken back, or are about to: it can not be refunded any more.
ALTER TABLE payments ADD COLUMN disputed bigint NOT NULL DEFAULT 0 CHECK (disputed >= 0 AND refunded + refund_pending + disputed <= captured);

-- Disputes (chargebacks): one row each. A provider's reference names one of a payment.
CREATE TABLE disputes (
    id uuid NOT NULL PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES payments (id),
    order_id uuid NOT NULL,
    channel_id uuid NOT NULL,
    reference text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'won', 'lost', 'accepted')),
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    amount bigint NOT NULL CHECK (amount > 0),
    fee bigint NOT NULL CHECK (fee >= 0),
    respond_by timestamptz,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (payment_id, reference)
);
CREATE INDEX disputes_order ON disputes (order_id);
CREATE INDEX disputes_due ON disputes (coalesce(respond_by, opened_at), id) WHERE state = 'open';

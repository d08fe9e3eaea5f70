-- What somebody is asked to pay for a placed order by a link. One attempt at a time pays it, and what is paid names the payment that does.
CREATE TABLE payment_requests (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL,
    channel_id uuid NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'paying', 'paid', 'withdrawn', 'void')),
    currency text COLLATE "C" NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    payment_id uuid,
    expires_at timestamptz NOT NULL,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT payment_requests_payment CHECK (CASE WHEN state IN ('paying', 'paid') THEN payment_id IS NOT NULL
        WHEN state = 'open' THEN payment_id IS NULL ELSE 1 = 1 END)
);
CREATE INDEX payment_requests_order ON payment_requests (order_id, id);
CREATE UNIQUE INDEX payment_requests_paid ON payment_requests (payment_id) WHERE payment_id IS NOT NULL;

-- What somebody is asked to pay for a placed order by a link. One attempt at a time pays it, and what is paid names the payment that does.
CREATE TABLE payment_requests (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL,
    channel_id BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'paying', 'paid', 'withdrawn', 'void')),
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    payment_id BLOB,
    expires_at TEXT NOT NULL,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT payment_requests_payment CHECK (CASE WHEN state IN ('paying', 'paid') THEN payment_id IS NOT NULL
        WHEN state = 'open' THEN payment_id IS NULL ELSE 1 = 1 END)
) STRICT;
CREATE INDEX payment_requests_order ON payment_requests (order_id, id);
CREATE UNIQUE INDEX payment_requests_paid ON payment_requests (payment_id) WHERE payment_id IS NOT NULL;

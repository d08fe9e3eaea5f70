-- What providers keep of payments, each told once.
CREATE TABLE payment_fees (
    payment_id uuid NOT NULL,
    reference text COLLATE "C" NOT NULL,
    order_id uuid NOT NULL,
    currency text COLLATE "C" NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (payment_id, reference)
);
CREATE INDEX payment_fees_order ON payment_fees (order_id);

-- What providers keep of payments, each told once.
CREATE TABLE payment_fees (
    payment_id BLOB NOT NULL,
    reference TEXT NOT NULL,
    order_id BLOB NOT NULL,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    occurred_at TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    PRIMARY KEY (payment_id, reference)
);
CREATE INDEX payment_fees_order ON payment_fees (order_id);

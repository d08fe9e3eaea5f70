-- What is to go onto a gift card or store credit of an order whose money a bank has at the moment: it goes there once that has come back.
CREATE TABLE awaited_refunds (
    id uuid NOT NULL PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id),
    return_id uuid,
    target text COLLATE "C" NOT NULL CHECK (target IN ('gift_card', 'store_credit')),
    stored_value_id uuid NOT NULL REFERENCES stored_values (id),
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    amount bigint NOT NULL,
    given bigint NOT NULL CHECK (given >= 0 AND given <= amount),
    created_at timestamptz NOT NULL
);
CREATE INDEX awaited_refunds_order ON awaited_refunds (order_id);

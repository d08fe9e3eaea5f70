-- What is to go onto a gift card or store credit of an order whose money a bank has at the moment: it goes there once that has come back.
CREATE TABLE awaited_refunds (
    id BLOB NOT NULL PRIMARY KEY,
    order_id BLOB NOT NULL REFERENCES orders (id),
    return_id BLOB,
    target TEXT NOT NULL CHECK (target IN ('gift_card', 'store_credit')),
    stored_value_id BLOB NOT NULL REFERENCES stored_values (id),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount INTEGER NOT NULL,
    given INTEGER NOT NULL CHECK (given >= 0 AND given <= amount),
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX awaited_refunds_order ON awaited_refunds (order_id);

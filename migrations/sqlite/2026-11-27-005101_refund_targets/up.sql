-- Where money goes that is given back otherwise than it came: a gift card or store credit, and which one. Null: the way it came.
ALTER TABLE payment_operations ADD COLUMN target TEXT CHECK (target IS NULL OR target IN ('gift_card', 'store_credit'));
ALTER TABLE payment_operations ADD COLUMN stored_value_id BLOB;

-- What staff have given back of orders beside cancellations and returns: how much, of what, and where to.
CREATE TABLE order_refunds (
    id BLOB NOT NULL PRIMARY KEY,
    order_id BLOB NOT NULL,
    target TEXT NOT NULL CHECK (target IN ('source', 'gift_card', 'store_credit')),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount INTEGER NOT NULL CHECK (amount > 0),
    shipping INTEGER NOT NULL CHECK (shipping >= 0 AND shipping <= amount),
    doc TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX order_refunds_order ON order_refunds (order_id, id);

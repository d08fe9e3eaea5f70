-- Where money goes that is given back otherwise than it came: a gift card or store credit, and which one. Null: the way it came.
ALTER TABLE payment_operations ADD COLUMN target text COLLATE "C" CHECK (target IS NULL OR target IN ('gift_card', 'store_credit'));
ALTER TABLE payment_operations ADD COLUMN stored_value_id uuid;

-- What staff have given back of orders beside cancellations and returns: how much, of what, and where to.
CREATE TABLE order_refunds (
    id uuid NOT NULL PRIMARY KEY,
    order_id uuid NOT NULL,
    target text COLLATE "C" NOT NULL CHECK (target IN ('source', 'gift_card', 'store_credit')),
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    amount bigint NOT NULL CHECK (amount > 0),
    shipping bigint NOT NULL CHECK (shipping >= 0 AND shipping <= amount),
    doc jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX order_refunds_order ON order_refunds (order_id, id);

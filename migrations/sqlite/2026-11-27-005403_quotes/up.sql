-- Prices that a customer asks for and staff offer, in as many rounds as it takes. `cart_id` is the cart that an accepted one becomes.
CREATE TABLE quotes (
    id BLOB PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    channel_id BLOB NOT NULL,
    customer_id BLOB NOT NULL,
    company_id BLOB,
    cart_id BLOB NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('requested', 'offered', 'accepted', 'ordered', 'declined', 'withdrawn', 'expired')),
    currency TEXT NOT NULL,
    valid_until TEXT,
    order_id BLOB UNIQUE,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT quotes_offered CHECK (state NOT IN ('offered', 'accepted') OR valid_until IS NOT NULL),
    CONSTRAINT quotes_ordered CHECK ((state = 'ordered') = (order_id IS NOT NULL))
) STRICT;
CREATE INDEX quotes_customer ON quotes (customer_id, id);
CREATE INDEX quotes_due ON quotes (valid_until) WHERE state IN ('offered', 'accepted');

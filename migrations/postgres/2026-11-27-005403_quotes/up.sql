-- Prices that a customer asks for and staff offer, in as many rounds as it takes. `cart_id` is the cart that an accepted one becomes.
CREATE TABLE quotes (
    id uuid PRIMARY KEY,
    number text COLLATE "C" NOT NULL UNIQUE,
    channel_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    company_id uuid,
    cart_id uuid NOT NULL UNIQUE,
    state text COLLATE "C" NOT NULL CHECK (state IN ('requested', 'offered', 'accepted', 'ordered', 'declined', 'withdrawn', 'expired')),
    currency text COLLATE "C" NOT NULL,
    valid_until timestamptz,
    order_id uuid UNIQUE,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT quotes_offered CHECK (state NOT IN ('offered', 'accepted') OR valid_until IS NOT NULL),
    CONSTRAINT quotes_ordered CHECK ((state = 'ordered') = (order_id IS NOT NULL))
);
CREATE INDEX quotes_customer ON quotes (customer_id, id);
CREATE INDEX quotes_due ON quotes (valid_until) WHERE state IN ('offered', 'accepted');

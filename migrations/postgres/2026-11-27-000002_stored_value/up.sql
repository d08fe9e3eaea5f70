-- What customers have paid ahead or been credited: a gift card, or a customer's store credit in one currency. `balance` is what it is
-- worth, `held` what of that carts and orders have set aside.
CREATE TABLE stored_values (
    id uuid PRIMARY KEY,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('gift_card', 'store_credit')),
    state text COLLATE "C" NOT NULL CHECK (state IN ('active', 'blocked')),
    currency text COLLATE "C" NOT NULL,
    balance bigint NOT NULL,
    held bigint NOT NULL,
    code_hash text COLLATE "C" UNIQUE,
    code_end text COLLATE "C",
    customer_id uuid,
    expires_at timestamptz,
    note text COLLATE "C",
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT stored_values_covered CHECK (held >= 0 AND held <= balance),
    CONSTRAINT stored_values_kind CHECK ((kind = 'gift_card') = (code_hash IS NOT NULL) AND (kind = 'gift_card' OR customer_id IS NOT NULL))
);
CREATE UNIQUE INDEX stored_values_credit ON stored_values (customer_id, currency) WHERE kind = 'store_credit';
CREATE INDEX stored_values_customer ON stored_values (customer_id, id) WHERE customer_id IS NOT NULL;

-- Every change of a stored value; their sums are its balance and what is held of it.
CREATE TABLE stored_value_entries (
    id uuid PRIMARY KEY,
    stored_value_id uuid NOT NULL,
    our_key text COLLATE "C" NOT NULL UNIQUE,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('issue', 'adjust', 'hold', 'release', 'redeem', 'refund')),
    amount bigint NOT NULL,
    held bigint NOT NULL CHECK (amount <> 0 OR held <> 0),
    balance_after bigint NOT NULL CHECK (balance_after >= 0),
    version bigint NOT NULL,
    payment_id uuid,
    actor text COLLATE "C" NOT NULL,
    reason text COLLATE "C",
    created_at timestamptz NOT NULL
);
CREATE INDEX stored_value_entries_of ON stored_value_entries (stored_value_id, version, id);
CREATE INDEX stored_value_entries_payment ON stored_value_entries (payment_id) WHERE payment_id IS NOT NULL;

-- What a cart that is being paid has set aside, until it is an order's payment of the same id.
CREATE TABLE stored_value_holds (
    payment_id uuid PRIMARY KEY,
    stored_value_id uuid NOT NULL,
    cart_id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX stored_value_holds_cart ON stored_value_holds (cart_id);
CREATE INDEX stored_value_holds_due ON stored_value_holds (expires_at);
CREATE INDEX stored_value_holds_value ON stored_value_holds (stored_value_id, expires_at);

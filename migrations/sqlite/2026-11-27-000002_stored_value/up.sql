-- What customers have paid ahead or been credited: a gift card, or a customer's store credit in one currency. `balance` is what it is
-- worth, `held` what of that carts and orders have set aside.
CREATE TABLE stored_values (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('gift_card', 'store_credit')),
    state TEXT NOT NULL CHECK (state IN ('active', 'blocked')),
    currency TEXT NOT NULL,
    balance INTEGER NOT NULL,
    held INTEGER NOT NULL,
    code_hash TEXT UNIQUE,
    code_end TEXT,
    customer_id BLOB,
    expires_at TEXT,
    note TEXT,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT stored_values_covered CHECK (held >= 0 AND held <= balance),
    CONSTRAINT stored_values_kind CHECK ((kind = 'gift_card') = (code_hash IS NOT NULL) AND (kind = 'gift_card' OR customer_id IS NOT NULL))
);
CREATE UNIQUE INDEX stored_values_credit ON stored_values (customer_id, currency) WHERE kind = 'store_credit';
CREATE INDEX stored_values_customer ON stored_values (customer_id, id) WHERE customer_id IS NOT NULL;

-- Every change of a stored value; their sums are its balance and what is held of it.
CREATE TABLE stored_value_entries (
    id BLOB PRIMARY KEY,
    stored_value_id BLOB NOT NULL,
    our_key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('issue', 'adjust', 'hold', 'release', 'redeem', 'refund')),
    amount INTEGER NOT NULL,
    held INTEGER NOT NULL CHECK (amount <> 0 OR held <> 0),
    balance_after INTEGER NOT NULL CHECK (balance_after >= 0),
    version INTEGER NOT NULL,
    payment_id BLOB,
    actor TEXT NOT NULL,
    reason TEXT,
    created_at TEXT NOT NULL
);
CREATE INDEX stored_value_entries_of ON stored_value_entries (stored_value_id, version, id);
CREATE INDEX stored_value_entries_payment ON stored_value_entries (payment_id) WHERE payment_id IS NOT NULL;

-- What a cart that is being paid has set aside, until it is an order's payment of the same id.
CREATE TABLE stored_value_holds (
    payment_id BLOB PRIMARY KEY,
    stored_value_id BLOB NOT NULL,
    cart_id BLOB NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    expires_at TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX stored_value_holds_cart ON stored_value_holds (cart_id);
CREATE INDEX stored_value_holds_due ON stored_value_holds (expires_at);
CREATE INDEX stored_value_holds_value ON stored_value_holds (stored_value_id, expires_at);

-- What goods have cost the merchant is kept like prices, in lists of their own. SQLite changes a CHECK only with its column.
ALTER TABLE price_lists ADD COLUMN purpose TEXT NOT NULL DEFAULT 'base' CHECK (purpose IN ('base', 'sale', 'contract', 'cost'));
UPDATE price_lists SET purpose = kind;
ALTER TABLE price_lists DROP COLUMN kind;
ALTER TABLE price_lists RENAME COLUMN purpose TO kind;

-- Whom a price list is for: one customer, the customers of a group, or everybody.
ALTER TABLE price_lists ADD COLUMN customer_id BLOB;
ALTER TABLE price_lists ADD COLUMN customer_group TEXT CHECK (customer_group IS NULL OR customer_id IS NULL);

CREATE TABLE promotions (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('draft', 'active', 'paused', 'ended')),
    channel_id BLOB REFERENCES channels (id),
    priority INTEGER NOT NULL,
    valid_from TEXT,
    valid_until TEXT,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

-- How much of a promotion is taken: of all of it (the subject is empty), and by each customer where that is limited (`c:` and
-- the customer's id, `e:` and a hash of their e-mail address). What is reserved counts as taken.
CREATE TABLE promotion_counters (
    promotion_id BLOB NOT NULL,
    subject TEXT NOT NULL,
    uses INTEGER NOT NULL CHECK (uses >= 0),
    units INTEGER NOT NULL CHECK (units >= 0),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    max_uses INTEGER,
    max_units INTEGER,
    max_amount INTEGER,
    PRIMARY KEY (promotion_id, subject),
    CONSTRAINT promotion_counters_uses CHECK (max_uses IS NULL OR uses <= max_uses),
    CONSTRAINT promotion_counters_units CHECK (max_units IS NULL OR units <= max_units),
    CONSTRAINT promotion_counters_amount CHECK (max_amount IS NULL OR amount <= max_amount)
);

-- What a cart's checkout has reserved of a promotion, and its order has consumed. `totalled` and `coupon_counted` tell which
-- counters it has moved.
CREATE TABLE promotion_uses (
    cart_id BLOB NOT NULL,
    promotion_id BLOB NOT NULL,
    order_id BLOB,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'consumed', 'returned')),
    coupon TEXT,
    customer_key TEXT,
    email_key TEXT,
    units INTEGER NOT NULL CHECK (units >= 0),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    totalled INTEGER NOT NULL,
    coupon_counted INTEGER NOT NULL,
    expires_at TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (cart_id, promotion_id)
);
CREATE INDEX promotion_uses_due ON promotion_uses (expires_at) WHERE state = 'reserved';
CREATE INDEX promotion_uses_promotion ON promotion_uses (promotion_id, state, expires_at);
CREATE INDEX promotion_uses_order ON promotion_uses (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX promotion_uses_coupon ON promotion_uses (coupon) WHERE coupon IS NOT NULL;
CREATE INDEX promotion_uses_coupon_due ON promotion_uses (coupon, expires_at) WHERE state = 'reserved';

CREATE TABLE coupon_batches (
    id BLOB PRIMARY KEY,
    promotion_id BLOB NOT NULL,
    prefix TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    made INTEGER NOT NULL CHECK (made >= 0 AND made <= size),
    max_uses INTEGER NOT NULL CHECK (max_uses > 0),
    valid_until TEXT,
    created_at TEXT NOT NULL
);
CREATE INDEX coupon_batches_promotion ON coupon_batches (promotion_id, id);

-- Codes are upper case, without dashes and blanks.
CREATE TABLE coupons (
    code TEXT PRIMARY KEY,
    promotion_id BLOB NOT NULL,
    batch_id BLOB,
    customer_id BLOB,
    valid_until TEXT,
    max_uses INTEGER CHECK (max_uses > 0),
    uses INTEGER NOT NULL CHECK (uses >= 0 AND (max_uses IS NULL OR uses <= max_uses)),
    blocked INTEGER NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX coupons_promotion ON coupons (promotion_id, code);
CREATE INDEX coupons_batch ON coupons (batch_id, code) WHERE batch_id IS NOT NULL;

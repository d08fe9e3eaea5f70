-- What goods have cost the merchant is kept like prices, in lists of their own. SQLite changes a CHECK only with its column.
ALTER TABLE price_lists ADD COLUMN purpose text COLLATE "C" NOT NULL DEFAULT 'base' CHECK (purpose IN ('base', 'sale', 'contract', 'cost'));
UPDATE price_lists SET purpose = kind;
ALTER TABLE price_lists DROP COLUMN kind;
ALTER TABLE price_lists RENAME COLUMN purpose TO kind;

-- Whom a price list is for: one customer, the customers of a group, or everybody.
ALTER TABLE price_lists ADD COLUMN customer_id uuid;
ALTER TABLE price_lists ADD COLUMN customer_group text COLLATE "C" CHECK (customer_group IS NULL OR customer_id IS NULL);

CREATE TABLE promotions (
    id uuid PRIMARY KEY,
    code text COLLATE "C" NOT NULL UNIQUE,
    name text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('draft', 'active', 'paused', 'ended')),
    channel_id uuid REFERENCES channels (id),
    priority bigint NOT NULL,
    valid_from timestamptz,
    valid_until timestamptz,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- How much of a promotion is taken: of all of it (the subject is empty), and by each customer where that is limited (`c:` and
-- the customer's id, `e:` and a hash of their e-mail address). What is reserved counts as taken.
CREATE TABLE promotion_counters (
    promotion_id uuid NOT NULL,
    subject text COLLATE "C" NOT NULL,
    uses bigint NOT NULL CHECK (uses >= 0),
    units bigint NOT NULL CHECK (units >= 0),
    amount bigint NOT NULL CHECK (amount >= 0),
    max_uses bigint,
    max_units bigint,
    max_amount bigint,
    PRIMARY KEY (promotion_id, subject),
    CONSTRAINT promotion_counters_uses CHECK (max_uses IS NULL OR uses <= max_uses),
    CONSTRAINT promotion_counters_units CHECK (max_units IS NULL OR units <= max_units),
    CONSTRAINT promotion_counters_amount CHECK (max_amount IS NULL OR amount <= max_amount)
);

-- What a cart's checkout has reserved of a promotion, and its order has consumed. `totalled` and `coupon_counted` tell which
-- counters it has moved.
CREATE TABLE promotion_uses (
    cart_id uuid NOT NULL,
    promotion_id uuid NOT NULL,
    order_id uuid,
    state text COLLATE "C" NOT NULL CHECK (state IN ('reserved', 'consumed', 'returned')),
    coupon text COLLATE "C",
    customer_key text COLLATE "C",
    email_key text COLLATE "C",
    units bigint NOT NULL CHECK (units >= 0),
    amount bigint NOT NULL CHECK (amount >= 0),
    totalled boolean NOT NULL,
    coupon_counted boolean NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (cart_id, promotion_id)
);
CREATE INDEX promotion_uses_due ON promotion_uses (expires_at) WHERE state = 'reserved';
CREATE INDEX promotion_uses_promotion ON promotion_uses (promotion_id, state, expires_at);
CREATE INDEX promotion_uses_order ON promotion_uses (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX promotion_uses_coupon ON promotion_uses (coupon) WHERE coupon IS NOT NULL;
CREATE INDEX promotion_uses_coupon_due ON promotion_uses (coupon, expires_at) WHERE state = 'reserved';

CREATE TABLE coupon_batches (
    id uuid PRIMARY KEY,
    promotion_id uuid NOT NULL,
    prefix text COLLATE "C" NOT NULL,
    size bigint NOT NULL CHECK (size > 0),
    made bigint NOT NULL CHECK (made >= 0 AND made <= size),
    max_uses bigint NOT NULL CHECK (max_uses > 0),
    valid_until timestamptz,
    created_at timestamptz NOT NULL
);
CREATE INDEX coupon_batches_promotion ON coupon_batches (promotion_id, id);

-- Codes are upper case, without dashes and blanks.
CREATE TABLE coupons (
    code text COLLATE "C" PRIMARY KEY,
    promotion_id uuid NOT NULL,
    batch_id uuid,
    customer_id uuid,
    valid_until timestamptz,
    max_uses bigint CHECK (max_uses > 0),
    uses bigint NOT NULL CHECK (uses >= 0 AND (max_uses IS NULL OR uses <= max_uses)),
    blocked boolean NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX coupons_promotion ON coupons (promotion_id, code);
CREATE INDEX coupons_batch ON coupons (batch_id, code) WHERE batch_id IS NOT NULL;

-- Pieces that are to come back, and pieces that are claimed: with those that came back never more than have left. However many ask
-- at once, each piece is taken back, or claimed, once.
ALTER TABLE order_lines ADD COLUMN coming_back bigint NOT NULL DEFAULT 0
    CHECK (coming_back >= 0 AND returned + coming_back <= shipped);
ALTER TABLE order_lines ADD COLUMN claimed bigint NOT NULL DEFAULT 0
    CHECK (claimed >= 0 AND returned + coming_back + claimed <= shipped);
-- What of the price of shipping is not owed any more.
ALTER TABLE orders ADD COLUMN shipping_credited bigint NOT NULL DEFAULT 0 CHECK (shipping_credited >= 0);

-- On what terms a channel takes goods back.
CREATE TABLE return_policies (
    channel_id uuid NOT NULL PRIMARY KEY REFERENCES channels (id),
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    updated_at timestamptz NOT NULL
);

-- What customers ask to send back, until it is settled.
CREATE TABLE return_requests (
    id uuid NOT NULL PRIMARY KEY,
    number text COLLATE "C" NOT NULL UNIQUE,
    order_id uuid NOT NULL REFERENCES orders (id),
    order_number text COLLATE "C" NOT NULL,
    channel_id uuid NOT NULL REFERENCES channels (id),
    customer_id uuid,
    origin text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    state_since timestamptz NOT NULL,
    -- The parcel that comes back by itself: one request each.
    shipment_id uuid UNIQUE,
    withdrawal_id uuid,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    requested_at timestamptz NOT NULL,
    expires_at timestamptz,
    updated_at timestamptz NOT NULL
);
CREATE INDEX return_requests_order ON return_requests (order_id);
CREATE INDEX return_requests_state ON return_requests (state, state_since, id);
CREATE INDEX return_requests_at ON return_requests (requested_at, id);
CREATE INDEX return_requests_ends ON return_requests (expires_at) WHERE expires_at IS NOT NULL;

-- Their lines, by which they are counted.
CREATE TABLE return_request_lines (
    request_id uuid NOT NULL REFERENCES return_requests (id),
    line_no bigint NOT NULL,
    variant_id uuid NOT NULL,
    sku text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    quantity bigint NOT NULL CHECK (quantity >= 0),
    PRIMARY KEY (request_id, line_no)
);

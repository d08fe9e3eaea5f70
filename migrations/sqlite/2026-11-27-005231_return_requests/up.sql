-- Pieces that are to come back, and pieces that are claimed: with those that came back never more than have left. However many ask
-- at once, each piece is taken back, or claimed, once.
ALTER TABLE order_lines ADD COLUMN coming_back INTEGER NOT NULL DEFAULT 0
    CHECK (coming_back >= 0 AND returned + coming_back <= shipped);
ALTER TABLE order_lines ADD COLUMN claimed INTEGER NOT NULL DEFAULT 0
    CHECK (claimed >= 0 AND returned + coming_back + claimed <= shipped);
-- What of the price of shipping is not owed any more.
ALTER TABLE orders ADD COLUMN shipping_credited INTEGER NOT NULL DEFAULT 0 CHECK (shipping_credited >= 0);

-- On what terms a channel takes goods back.
CREATE TABLE return_policies (
    channel_id BLOB NOT NULL PRIMARY KEY REFERENCES channels (id),
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What customers ask to send back, until it is settled.
CREATE TABLE return_requests (
    id BLOB NOT NULL PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    order_id BLOB NOT NULL REFERENCES orders (id),
    order_number TEXT NOT NULL,
    channel_id BLOB NOT NULL REFERENCES channels (id),
    customer_id BLOB,
    origin TEXT NOT NULL,
    state TEXT NOT NULL,
    state_since TEXT NOT NULL,
    -- The parcel that comes back by itself: one request each.
    shipment_id BLOB UNIQUE,
    withdrawal_id BLOB,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    requested_at TEXT NOT NULL,
    expires_at TEXT,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX return_requests_order ON return_requests (order_id);
CREATE INDEX return_requests_state ON return_requests (state, state_since, id);
CREATE INDEX return_requests_at ON return_requests (requested_at, id);
CREATE INDEX return_requests_ends ON return_requests (expires_at) WHERE expires_at IS NOT NULL;

-- Their lines, by which they are counted.
CREATE TABLE return_request_lines (
    request_id BLOB NOT NULL REFERENCES return_requests (id),
    line_no INTEGER NOT NULL,
    variant_id BLOB NOT NULL,
    sku TEXT NOT NULL,
    reason TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity >= 0),
    PRIMARY KEY (request_id, line_no)
) STRICT, WITHOUT ROWID;

-- Orders to suppliers. What was received of a line is what inbound shipments have brought of it.
CREATE TABLE purchase_orders (
    id uuid PRIMARY KEY,
    number text COLLATE "C" NOT NULL UNIQUE,
    supplier text COLLATE "C" NOT NULL,
    location_id uuid NOT NULL REFERENCES locations (id),
    state text COLLATE "C" NOT NULL CHECK (state IN ('draft', 'ordered', 'partially_received', 'received', 'closed', 'cancelled')),
    expected_at timestamptz,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX purchase_orders_location ON purchase_orders (location_id, id);

CREATE TABLE purchase_order_lines (
    purchase_order_id uuid NOT NULL REFERENCES purchase_orders (id),
    line_no bigint NOT NULL,
    variant_id uuid NOT NULL REFERENCES variants (id),
    sku text COLLATE "C" NOT NULL,
    ordered bigint NOT NULL CHECK (ordered > 0),
    announced bigint NOT NULL CHECK (announced >= 0),
    received bigint NOT NULL CHECK (received >= 0),
    expected_at timestamptz,
    PRIMARY KEY (purchase_order_id, line_no)
);
CREATE INDEX purchase_order_lines_variant ON purchase_order_lines (variant_id);

-- What is expected at a location, or has come: of a purchase order, or of none.
CREATE TABLE inbound_shipments (
    id uuid PRIMARY KEY,
    reference text COLLATE "C",
    purchase_order_id uuid REFERENCES purchase_orders (id),
    location_id uuid NOT NULL REFERENCES locations (id),
    state text COLLATE "C" NOT NULL CHECK (state IN ('announced', 'arrived', 'receiving', 'received', 'closed', 'cancelled')),
    expected_at timestamptz NOT NULL,
    arrived_at timestamptz,
    received_at timestamptz,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX inbound_shipments_location ON inbound_shipments (location_id, id);
CREATE INDEX inbound_shipments_open ON inbound_shipments (expected_at, id) WHERE state IN ('announced', 'arrived', 'receiving');

-- `surplus` is what came beyond what was expected, `short` is what is given up: what can come of a line in all is
-- expected + surplus - short. `matched` is what of it, still to come, is meant for orders that wait; `docked` is what of the
-- received went to these without being stored.
CREATE TABLE inbound_lines (
    inbound_shipment_id uuid NOT NULL REFERENCES inbound_shipments (id),
    line_no bigint NOT NULL,
    variant_id uuid NOT NULL REFERENCES variants (id),
    sku text COLLATE "C" NOT NULL,
    sscc text COLLATE "C",
    lot text COLLATE "C",
    best_before text COLLATE "C",
    purchase_order_line bigint,
    expected bigint NOT NULL CHECK (expected >= 0),
    received bigint NOT NULL CHECK (received >= 0),
    surplus bigint NOT NULL CHECK (surplus >= 0),
    short bigint NOT NULL CHECK (short >= 0 AND short <= expected),
    matched bigint NOT NULL CHECK (matched >= 0),
    docked bigint NOT NULL CHECK (docked >= 0 AND docked <= received),
    PRIMARY KEY (inbound_shipment_id, line_no),
    CHECK (received + matched <= expected + surplus - short)
);
CREATE INDEX inbound_lines_variant ON inbound_lines (variant_id);

-- Handling units: pallets and boxes that are received, and maybe passed on, as a whole. One is received once.
CREATE TABLE inbound_units (
    inbound_shipment_id uuid NOT NULL REFERENCES inbound_shipments (id),
    sscc text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('expected', 'received', 'passed_on', 'missing')),
    received_at timestamptz,
    left_at timestamptz,
    PRIMARY KEY (inbound_shipment_id, sscc)
);
CREATE UNIQUE INDEX inbound_units_sscc ON inbound_units (sscc) WHERE state <> 'missing';

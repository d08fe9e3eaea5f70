-- Orders to suppliers. What was received of a line is what inbound shipments have brought of it.
CREATE TABLE purchase_orders (
    id BLOB PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    supplier TEXT NOT NULL,
    location_id BLOB NOT NULL REFERENCES locations (id),
    state TEXT NOT NULL CHECK (state IN ('draft', 'ordered', 'partially_received', 'received', 'closed', 'cancelled')),
    expected_at TEXT,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX purchase_orders_location ON purchase_orders (location_id, id);

CREATE TABLE purchase_order_lines (
    purchase_order_id BLOB NOT NULL REFERENCES purchase_orders (id),
    line_no INTEGER NOT NULL,
    variant_id BLOB NOT NULL REFERENCES variants (id),
    sku TEXT NOT NULL,
    ordered INTEGER NOT NULL CHECK (ordered > 0),
    announced INTEGER NOT NULL CHECK (announced >= 0),
    received INTEGER NOT NULL CHECK (received >= 0),
    expected_at TEXT,
    PRIMARY KEY (purchase_order_id, line_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX purchase_order_lines_variant ON purchase_order_lines (variant_id);

-- What is expected at a location, or has come: of a purchase order, or of none.
CREATE TABLE inbound_shipments (
    id BLOB PRIMARY KEY,
    reference TEXT,
    purchase_order_id BLOB REFERENCES purchase_orders (id),
    location_id BLOB NOT NULL REFERENCES locations (id),
    state TEXT NOT NULL CHECK (state IN ('announced', 'arrived', 'receiving', 'received', 'closed', 'cancelled')),
    expected_at TEXT NOT NULL,
    arrived_at TEXT,
    received_at TEXT,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX inbound_shipments_location ON inbound_shipments (location_id, id);
CREATE INDEX inbound_shipments_open ON inbound_shipments (expected_at, id) WHERE state IN ('announced', 'arrived', 'receiving');

-- `surplus` is what came beyond what was expected, `short` is what is given up: what can come of a line in all is
-- expected + surplus - short. `matched` is what of it, still to come, is meant for orders that wait; `docked` is what of the
-- received went to these without being stored.
CREATE TABLE inbound_lines (
    inbound_shipment_id BLOB NOT NULL REFERENCES inbound_shipments (id),
    line_no INTEGER NOT NULL,
    variant_id BLOB NOT NULL REFERENCES variants (id),
    sku TEXT NOT NULL,
    sscc TEXT,
    lot TEXT,
    best_before TEXT,
    purchase_order_line INTEGER,
    expected INTEGER NOT NULL CHECK (expected >= 0),
    received INTEGER NOT NULL CHECK (received >= 0),
    surplus INTEGER NOT NULL CHECK (surplus >= 0),
    short INTEGER NOT NULL CHECK (short >= 0 AND short <= expected),
    matched INTEGER NOT NULL CHECK (matched >= 0),
    docked INTEGER NOT NULL CHECK (docked >= 0 AND docked <= received),
    PRIMARY KEY (inbound_shipment_id, line_no),
    CHECK (received + matched <= expected + surplus - short)
) STRICT, WITHOUT ROWID;
CREATE INDEX inbound_lines_variant ON inbound_lines (variant_id);

-- Handling units: pallets and boxes that are received, and maybe passed on, as a whole. One is received once.
CREATE TABLE inbound_units (
    inbound_shipment_id BLOB NOT NULL REFERENCES inbound_shipments (id),
    sscc TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('expected', 'received', 'passed_on', 'missing')),
    received_at TEXT,
    left_at TEXT,
    PRIMARY KEY (inbound_shipment_id, sscc)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX inbound_units_sscc ON inbound_units (sscc) WHERE state <> 'missing';

-- How a location handles goods that only pass its dock. Its row is also what serialises matching there.
CREATE TABLE dock_hubs (
    location_id BLOB PRIMARY KEY REFERENCES locations (id),
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

-- How much of a line of a fulfilment order is matched with inbound goods and not taken yet; never more than was open of it
-- when it was matched.
CREATE TABLE dock_demands (
    fulfilment_order_id BLOB NOT NULL,
    line_no INTEGER NOT NULL,
    wanted INTEGER NOT NULL,
    matched INTEGER NOT NULL,
    PRIMARY KEY (fulfilment_order_id, line_no),
    CHECK (matched >= 0 AND matched <= wanted)
) STRICT, WITHOUT ROWID;

-- Goods of an inbound line that go to a line of a fulfilment order without being stored.
CREATE TABLE dock_matches (
    id BLOB PRIMARY KEY,
    location_id BLOB NOT NULL,
    inbound_shipment_id BLOB NOT NULL,
    inbound_line INTEGER NOT NULL,
    fulfilment_order_id BLOB NOT NULL,
    line_no INTEGER NOT NULL,
    variant_id BLOB NOT NULL,
    sku TEXT NOT NULL,
    sscc TEXT,
    way TEXT NOT NULL CHECK (way IN ('direct', 'indirect', 'opportunistic')),
    state TEXT NOT NULL CHECK (state IN ('planned', 'received', 'done', 'cancelled')),
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    late INTEGER NOT NULL,
    ready_at TEXT NOT NULL,
    due_at TEXT NOT NULL,
    reason TEXT,
    created_at TEXT NOT NULL,
    received_at TEXT,
    ended_at TEXT
) STRICT;
CREATE INDEX dock_matches_open ON dock_matches (location_id, ready_at, id) WHERE state IN ('planned', 'received');
CREATE INDEX dock_matches_inbound ON dock_matches (inbound_shipment_id, inbound_line);
CREATE INDEX dock_matches_outbound ON dock_matches (fulfilment_order_id);

-- What people do at a dock, each thing ended by a scan.
CREATE TABLE dock_tasks (
    id BLOB PRIMARY KEY,
    location_id BLOB NOT NULL,
    inbound_shipment_id BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('unload', 'sort', 'load', 'put_away')),
    state TEXT NOT NULL CHECK (state IN ('open', 'done', 'cancelled')),
    sscc TEXT,
    match_id BLOB,
    fulfilment_order_id BLOB,
    variant_id BLOB,
    sku TEXT,
    quantity INTEGER,
    created_at TEXT NOT NULL,
    ended_at TEXT,
    ended_by TEXT
) STRICT;
CREATE INDEX dock_tasks_open ON dock_tasks (location_id, id) WHERE state = 'open';
CREATE INDEX dock_tasks_inbound ON dock_tasks (inbound_shipment_id);

-- How a location handles goods that only pass its dock. Its row is also what serialises matching there.
CREATE TABLE dock_hubs (
    location_id uuid PRIMARY KEY REFERENCES locations (id),
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    updated_at timestamptz NOT NULL
);

-- How much of a line of a fulfilment order is matched with inbound goods and not taken yet; never more than was open of it
-- when it was matched.
CREATE TABLE dock_demands (
    fulfilment_order_id uuid NOT NULL,
    line_no bigint NOT NULL,
    wanted bigint NOT NULL,
    matched bigint NOT NULL,
    PRIMARY KEY (fulfilment_order_id, line_no),
    CHECK (matched >= 0 AND matched <= wanted)
);

-- Goods of an inbound line that go to a line of a fulfilment order without being stored.
CREATE TABLE dock_matches (
    id uuid PRIMARY KEY,
    location_id uuid NOT NULL,
    inbound_shipment_id uuid NOT NULL,
    inbound_line bigint NOT NULL,
    fulfilment_order_id uuid NOT NULL,
    line_no bigint NOT NULL,
    variant_id uuid NOT NULL,
    sku text COLLATE "C" NOT NULL,
    sscc text COLLATE "C",
    way text COLLATE "C" NOT NULL CHECK (way IN ('direct', 'indirect', 'opportunistic')),
    state text COLLATE "C" NOT NULL CHECK (state IN ('planned', 'received', 'done', 'cancelled')),
    quantity bigint NOT NULL CHECK (quantity > 0),
    late boolean NOT NULL,
    ready_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    reason text COLLATE "C",
    created_at timestamptz NOT NULL,
    received_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX dock_matches_open ON dock_matches (location_id, ready_at, id) WHERE state IN ('planned', 'received');
CREATE INDEX dock_matches_inbound ON dock_matches (inbound_shipment_id, inbound_line);
CREATE INDEX dock_matches_outbound ON dock_matches (fulfilment_order_id);

-- What people do at a dock, each thing ended by a scan.
CREATE TABLE dock_tasks (
    id uuid PRIMARY KEY,
    location_id uuid NOT NULL,
    inbound_shipment_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('unload', 'sort', 'load', 'put_away')),
    state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'done', 'cancelled')),
    sscc text COLLATE "C",
    match_id uuid,
    fulfilment_order_id uuid,
    variant_id uuid,
    sku text COLLATE "C",
    quantity bigint,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_by text COLLATE "C"
);
CREATE INDEX dock_tasks_open ON dock_tasks (location_id, id) WHERE state = 'open';
CREATE INDEX dock_tasks_inbound ON dock_tasks (inbound_shipment_id);

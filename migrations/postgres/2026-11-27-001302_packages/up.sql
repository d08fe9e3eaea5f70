-- How many of the packed pieces lie in packages that have not left. What is in a package is not cancelled and does not leave without it.
ALTER TABLE fulfilment_lines ADD COLUMN boxed bigint NOT NULL DEFAULT 0 CHECK (boxed >= 0 AND boxed <= packed - shipped);

-- The handling units that leave.
CREATE TABLE packages (
    id uuid PRIMARY KEY,
    fulfilment_order_id uuid NOT NULL REFERENCES fulfilment_orders (id),
    order_id uuid NOT NULL REFERENCES orders (id),
    location_id uuid NOT NULL REFERENCES locations (id),
    state text COLLATE "C" NOT NULL CHECK (state IN ('packed', 'shipped', 'unpacked')),
    sscc text COLLATE "C" UNIQUE,
    shipment_id uuid,
    pieces bigint NOT NULL CHECK (pieces > 0),
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX packages_fulfilment_order ON packages (fulfilment_order_id, id);
CREATE INDEX packages_shipment ON packages (shipment_id) WHERE shipment_id IS NOT NULL;

-- Which pieces are in which package. A serial number is in one package at a time.
CREATE TABLE package_serials (
    package_id uuid NOT NULL REFERENCES packages (id),
    variant_id uuid NOT NULL REFERENCES variants (id),
    serial text COLLATE "C" NOT NULL,
    line_no bigint NOT NULL,
    held boolean NOT NULL,
    PRIMARY KEY (package_id, variant_id, serial)
);
CREATE UNIQUE INDEX package_serials_held ON package_serials (variant_id, serial) WHERE held;
CREATE INDEX package_serials_serial ON package_serials (serial, variant_id, package_id);

-- What a carrier fetches at once.
CREATE TABLE manifests (
    id uuid PRIMARY KEY,
    location_id uuid NOT NULL REFERENCES locations (id),
    carrier text COLLATE "C" NOT NULL,
    carrier_folded text COLLATE "C" NOT NULL,
    day text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'closed')),
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX manifests_open ON manifests (location_id, carrier_folded, day) WHERE state = 'open';
CREATE INDEX manifests_location ON manifests (location_id, id);

-- The shipments that a carrier fetches, and on which manifest each stands; what is on none yet waits for the next.
CREATE TABLE manifest_shipments (
    shipment_id uuid PRIMARY KEY REFERENCES shipments (id),
    location_id uuid NOT NULL REFERENCES locations (id),
    carrier_folded text COLLATE "C" NOT NULL,
    shipped_at timestamptz NOT NULL,
    manifest_id uuid REFERENCES manifests (id)
);
CREATE INDEX manifest_shipments_waiting ON manifest_shipments (location_id, carrier_folded, shipped_at) WHERE manifest_id IS NULL;
CREATE INDEX manifest_shipments_manifest ON manifest_shipments (manifest_id) WHERE manifest_id IS NOT NULL;

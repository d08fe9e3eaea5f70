-- Where a parcel is between leaving and arriving, as its carrier says: what nothing was heard of has nothing here. `state` stays what
-- it is: a process that does not know this column goes on reading and writing it.
ALTER TABLE shipments ADD COLUMN tracking text COLLATE "C"
    CHECK (tracking IN ('in_transit', 'out_for_delivery', 'failed_attempt', 'returned_to_sender', 'lost', 'delivered'));

-- What was heard of a parcel, each mark once: where it is follows from all of them in the order of their times.
CREATE TABLE tracking_marks (
    shipment_id uuid NOT NULL REFERENCES shipments (id),
    at timestamptz NOT NULL,
    mark text COLLATE "C" NOT NULL,
    PRIMARY KEY (shipment_id, at, mark)
);

-- What came of parcels that did not arrive: one for each.
CREATE TABLE shipment_claims (
    shipment_id uuid PRIMARY KEY REFERENCES shipments (id),
    order_id uuid NOT NULL REFERENCES orders (id),
    order_number text COLLATE "C" NOT NULL,
    channel_id uuid NOT NULL,
    location_id uuid NOT NULL REFERENCES locations (id),
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('lost', 'returned_to_sender')),
    state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'withdrawn', 'settled')),
    since timestamptz NOT NULL,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX shipment_claims_state ON shipment_claims (state, since, shipment_id);

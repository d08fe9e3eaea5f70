-- Where a parcel is between leaving and arriving, as its carrier says: what nothing was heard of has nothing here. `state` stays what
-- it is: a process that does not know this column goes on reading and writing it.
ALTER TABLE shipments ADD COLUMN tracking TEXT
    CHECK (tracking IN ('in_transit', 'out_for_delivery', 'failed_attempt', 'returned_to_sender', 'lost', 'delivered'));

-- What was heard of a parcel, each mark once: where it is follows from all of them in the order of their times.
CREATE TABLE tracking_marks (
    shipment_id BLOB NOT NULL REFERENCES shipments (id),
    at TEXT NOT NULL,
    mark TEXT NOT NULL,
    PRIMARY KEY (shipment_id, at, mark)
) STRICT, WITHOUT ROWID;

-- What came of parcels that did not arrive: one for each.
CREATE TABLE shipment_claims (
    shipment_id BLOB PRIMARY KEY REFERENCES shipments (id),
    order_id BLOB NOT NULL REFERENCES orders (id),
    order_number TEXT NOT NULL,
    channel_id BLOB NOT NULL,
    location_id BLOB NOT NULL REFERENCES locations (id),
    kind TEXT NOT NULL CHECK (kind IN ('lost', 'returned_to_sender')),
    state TEXT NOT NULL CHECK (state IN ('open', 'withdrawn', 'settled')),
    since TEXT NOT NULL,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX shipment_claims_state ON shipment_claims (state, since, shipment_id);

-- What customers say is lost, damaged, wrong or missing of what has left.
CREATE TABLE order_claims (
    id BLOB NOT NULL PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    order_id BLOB NOT NULL REFERENCES orders (id),
    order_number TEXT NOT NULL,
    channel_id BLOB NOT NULL REFERENCES channels (id),
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    state_since TEXT NOT NULL,
    shipment_id BLOB,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    opened_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX order_claims_order ON order_claims (order_id);
CREATE INDEX order_claims_state ON order_claims (state, state_since, id);

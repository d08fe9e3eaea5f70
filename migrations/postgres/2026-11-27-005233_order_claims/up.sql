-- What customers say is lost, damaged, wrong or missing of what has left.
CREATE TABLE order_claims (
    id uuid NOT NULL PRIMARY KEY,
    number text COLLATE "C" NOT NULL UNIQUE,
    order_id uuid NOT NULL REFERENCES orders (id),
    order_number text COLLATE "C" NOT NULL,
    channel_id uuid NOT NULL REFERENCES channels (id),
    kind text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    state_since timestamptz NOT NULL,
    shipment_id uuid,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX order_claims_order ON order_claims (order_id);
CREATE INDEX order_claims_state ON order_claims (state, state_since, id);

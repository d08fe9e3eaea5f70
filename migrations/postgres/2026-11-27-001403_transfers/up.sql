-- Goods on their way from one location to another. What is under way is shipped - received - damaged - lost.
CREATE TABLE transfers (
    id uuid PRIMARY KEY,
    from_location_id uuid NOT NULL REFERENCES locations (id),
    to_location_id uuid NOT NULL REFERENCES locations (id),
    state text COLLATE "C" NOT NULL CHECK (state IN ('draft', 'in_transit', 'partially_received', 'received', 'closed', 'cancelled')),
    expected_at timestamptz,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (from_location_id <> to_location_id)
);
CREATE INDEX transfers_from ON transfers (from_location_id, id);
CREATE INDEX transfers_to ON transfers (to_location_id, id);

CREATE TABLE transfer_lines (
    transfer_id uuid NOT NULL REFERENCES transfers (id),
    line_no bigint NOT NULL,
    variant_id uuid NOT NULL REFERENCES variants (id),
    sku text COLLATE "C" NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    shipped bigint NOT NULL CHECK (shipped >= 0 AND shipped <= quantity),
    received bigint NOT NULL CHECK (received >= 0),
    damaged bigint NOT NULL CHECK (damaged >= 0),
    lost bigint NOT NULL CHECK (lost >= 0),
    surplus bigint NOT NULL CHECK (surplus >= 0),
    PRIMARY KEY (transfer_id, line_no),
    CHECK (received + damaged + lost <= shipped)
);
CREATE INDEX transfer_lines_variant ON transfer_lines (variant_id);

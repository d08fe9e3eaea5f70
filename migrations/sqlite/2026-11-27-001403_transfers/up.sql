-- Goods on their way from one location to another. What is under way is shipped - received - damaged - lost.
CREATE TABLE transfers (
    id BLOB PRIMARY KEY,
    from_location_id BLOB NOT NULL REFERENCES locations (id),
    to_location_id BLOB NOT NULL REFERENCES locations (id),
    state TEXT NOT NULL CHECK (state IN ('draft', 'in_transit', 'partially_received', 'received', 'closed', 'cancelled')),
    expected_at TEXT,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (from_location_id <> to_location_id)
) STRICT;
CREATE INDEX transfers_from ON transfers (from_location_id, id);
CREATE INDEX transfers_to ON transfers (to_location_id, id);

CREATE TABLE transfer_lines (
    transfer_id BLOB NOT NULL REFERENCES transfers (id),
    line_no INTEGER NOT NULL,
    variant_id BLOB NOT NULL REFERENCES variants (id),
    sku TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    shipped INTEGER NOT NULL CHECK (shipped >= 0 AND shipped <= quantity),
    received INTEGER NOT NULL CHECK (received >= 0),
    damaged INTEGER NOT NULL CHECK (damaged >= 0),
    lost INTEGER NOT NULL CHECK (lost >= 0),
    surplus INTEGER NOT NULL CHECK (surplus >= 0),
    PRIMARY KEY (transfer_id, line_no),
    CHECK (received + damaged + lost <= shipped)
) STRICT, WITHOUT ROWID;
CREATE INDEX transfer_lines_variant ON transfer_lines (variant_id);

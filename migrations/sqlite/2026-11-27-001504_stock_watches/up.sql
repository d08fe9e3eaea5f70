-- Levels that are watched: from when on one is low or is to be reordered, and what was told of it last.
CREATE TABLE stock_watches (
    variant_id BLOB NOT NULL REFERENCES variants (id),
    location_id BLOB NOT NULL REFERENCES locations (id),
    low_at INTEGER CHECK (low_at >= 0),
    reorder_at INTEGER CHECK (reorder_at >= 0),
    reorder_quantity INTEGER CHECK (reorder_quantity > 0),
    is_low INTEGER NOT NULL,
    is_due INTEGER NOT NULL,
    is_out INTEGER NOT NULL,
    version INTEGER NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (variant_id, location_id)
) STRICT, WITHOUT ROWID;

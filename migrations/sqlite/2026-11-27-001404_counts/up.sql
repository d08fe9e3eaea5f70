-- Counts of what lies at a location. A line keeps what the level said when it was counted: what moves between the count and its
-- approval is no difference.
CREATE TABLE stock_counts (
    id BLOB PRIMARY KEY,
    location_id BLOB NOT NULL REFERENCES locations (id),
    state TEXT NOT NULL CHECK (state IN ('open', 'counting', 'counted', 'approved', 'cancelled')),
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX stock_counts_location ON stock_counts (location_id, id);

CREATE TABLE stock_count_lines (
    stock_count_id BLOB NOT NULL REFERENCES stock_counts (id),
    variant_id BLOB NOT NULL REFERENCES variants (id),
    sku TEXT NOT NULL,
    rounds INTEGER NOT NULL CHECK (rounds >= 0),
    recount INTEGER NOT NULL,
    counted INTEGER CHECK (counted >= 0),
    on_hand INTEGER,
    level_version INTEGER,
    counted_at TEXT,
    counted_by TEXT,
    PRIMARY KEY (stock_count_id, variant_id)
) STRICT, WITHOUT ROWID;

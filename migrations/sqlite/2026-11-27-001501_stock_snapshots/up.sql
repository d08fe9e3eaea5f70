-- The last snapshot of a level that a system sent: what it said, as of when, and up to which position of the log it knew our orders.
CREATE TABLE stock_snapshots (
    variant_id BLOB NOT NULL,
    location_id BLOB NOT NULL,
    source TEXT NOT NULL,
    basis TEXT NOT NULL CHECK (basis IN ('physical', 'available')),
    quantity INTEGER NOT NULL CHECK (quantity >= 0),
    as_of TEXT NOT NULL,
    orders_through INTEGER,
    taken_at TEXT NOT NULL,
    PRIMARY KEY (variant_id, location_id, source)
) STRICT, WITHOUT ROWID;

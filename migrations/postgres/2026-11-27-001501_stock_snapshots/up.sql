-- The last snapshot of a level that a system sent: what it said, as of when, and up to which position of the log it knew our orders.
CREATE TABLE stock_snapshots (
    variant_id uuid NOT NULL,
    location_id uuid NOT NULL,
    source text COLLATE "C" NOT NULL,
    basis text COLLATE "C" NOT NULL CHECK (basis IN ('physical', 'available')),
    quantity bigint NOT NULL CHECK (quantity >= 0),
    as_of timestamptz NOT NULL,
    orders_through bigint,
    taken_at timestamptz NOT NULL,
    PRIMARY KEY (variant_id, location_id, source)
);

-- Where on its location's shelves a variant lies: what a picker walks by.
CREATE TABLE stock_bins (
    variant_id BLOB NOT NULL REFERENCES variants (id),
    location_id BLOB NOT NULL REFERENCES locations (id),
    zone TEXT NOT NULL,
    bin TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (variant_id, location_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX stock_bins_location ON stock_bins (location_id, zone, bin, variant_id);

-- Work that is picked in one walk.
CREATE TABLE waves (
    id BLOB PRIMARY KEY,
    location_id BLOB NOT NULL REFERENCES locations (id),
    state TEXT NOT NULL CHECK (state IN ('open', 'picking', 'done', 'cancelled')),
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX waves_location ON waves (location_id, id);

-- The fulfilment orders of waves, each with the place (a tote) its pieces are put into. One is in one wave at a time.
CREATE TABLE wave_orders (
    wave_id BLOB NOT NULL REFERENCES waves (id),
    fulfilment_order_id BLOB NOT NULL REFERENCES fulfilment_orders (id),
    put INTEGER NOT NULL CHECK (put > 0),
    held INTEGER NOT NULL,
    PRIMARY KEY (wave_id, fulfilment_order_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX wave_orders_held ON wave_orders (fulfilment_order_id) WHERE held;

-- What a wave's pickers did not find.
CREATE TABLE wave_shorts (
    wave_id BLOB NOT NULL REFERENCES waves (id),
    fulfilment_order_id BLOB NOT NULL REFERENCES fulfilment_orders (id),
    line_no INTEGER NOT NULL,
    pieces INTEGER NOT NULL CHECK (pieces > 0),
    reason TEXT NOT NULL,
    noted_at TEXT NOT NULL,
    PRIMARY KEY (wave_id, fulfilment_order_id, line_no)
) STRICT, WITHOUT ROWID;

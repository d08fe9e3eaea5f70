-- Where on its location's shelves a variant lies: what a picker walks by.
CREATE TABLE stock_bins (
    variant_id uuid NOT NULL REFERENCES variants (id),
    location_id uuid NOT NULL REFERENCES locations (id),
    zone text COLLATE "C" NOT NULL,
    bin text COLLATE "C" NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (variant_id, location_id)
);
CREATE INDEX stock_bins_location ON stock_bins (location_id, zone, bin, variant_id);

-- Work that is picked in one walk.
CREATE TABLE waves (
    id uuid PRIMARY KEY,
    location_id uuid NOT NULL REFERENCES locations (id),
    state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'picking', 'done', 'cancelled')),
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX waves_location ON waves (location_id, id);

-- The fulfilment orders of waves, each with the place (a tote) its pieces are put into. One is in one wave at a time.
CREATE TABLE wave_orders (
    wave_id uuid NOT NULL REFERENCES waves (id),
    fulfilment_order_id uuid NOT NULL REFERENCES fulfilment_orders (id),
    put bigint NOT NULL CHECK (put > 0),
    held boolean NOT NULL,
    PRIMARY KEY (wave_id, fulfilment_order_id)
);
CREATE UNIQUE INDEX wave_orders_held ON wave_orders (fulfilment_order_id) WHERE held;

-- What a wave's pickers did not find.
CREATE TABLE wave_shorts (
    wave_id uuid NOT NULL REFERENCES waves (id),
    fulfilment_order_id uuid NOT NULL REFERENCES fulfilment_orders (id),
    line_no bigint NOT NULL,
    pieces bigint NOT NULL CHECK (pieces > 0),
    reason text COLLATE "C" NOT NULL,
    noted_at timestamptz NOT NULL,
    PRIMARY KEY (wave_id, fulfilment_order_id, line_no)
);

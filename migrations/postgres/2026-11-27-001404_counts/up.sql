-- Counts of what lies at a location. A line keeps what the level said when it was counted: what moves between the count and its
-- approval is no difference.
CREATE TABLE stock_counts (
    id uuid PRIMARY KEY,
    location_id uuid NOT NULL REFERENCES locations (id),
    state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'counting', 'counted', 'approved', 'cancelled')),
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX stock_counts_location ON stock_counts (location_id, id);

CREATE TABLE stock_count_lines (
    stock_count_id uuid NOT NULL REFERENCES stock_counts (id),
    variant_id uuid NOT NULL REFERENCES variants (id),
    sku text COLLATE "C" NOT NULL,
    rounds bigint NOT NULL CHECK (rounds >= 0),
    recount boolean NOT NULL,
    counted bigint CHECK (counted >= 0),
    on_hand bigint,
    level_version bigint,
    counted_at timestamptz,
    counted_by text COLLATE "C",
    PRIMARY KEY (stock_count_id, variant_id)
);

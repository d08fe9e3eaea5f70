-- Levels that are watched: from when on one is low or is to be reordered, and what was told of it last.
CREATE TABLE stock_watches (
    variant_id uuid NOT NULL REFERENCES variants (id),
    location_id uuid NOT NULL REFERENCES locations (id),
    low_at bigint CHECK (low_at >= 0),
    reorder_at bigint CHECK (reorder_at >= 0),
    reorder_quantity bigint CHECK (reorder_quantity > 0),
    is_low boolean NOT NULL,
    is_due boolean NOT NULL,
    is_out boolean NOT NULL,
    version bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (variant_id, location_id)
);

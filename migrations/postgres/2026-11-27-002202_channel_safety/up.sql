-- Pieces of a variant that a channel leaves to others: at a location, or, where none is named, at each that has none of its own.
CREATE TABLE stock_channel_safety (
    id uuid PRIMARY KEY,
    variant_id uuid NOT NULL REFERENCES variants (id),
    channel_id uuid NOT NULL REFERENCES channels (id),
    location_id uuid REFERENCES locations (id),
    pieces bigint NOT NULL CHECK (pieces > 0),
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX stock_channel_safety_place ON stock_channel_safety (variant_id, channel_id, location_id)
    WHERE location_id IS NOT NULL;
CREATE UNIQUE INDEX stock_channel_safety_any ON stock_channel_safety (variant_id, channel_id) WHERE location_id IS NULL;

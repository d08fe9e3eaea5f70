-- Pieces of a variant that a channel leaves to others: at a location, or, where none is named, at each that has none of its own.
CREATE TABLE stock_channel_safety (
    id BLOB PRIMARY KEY,
    variant_id BLOB NOT NULL REFERENCES variants (id),
    channel_id BLOB NOT NULL REFERENCES channels (id),
    location_id BLOB REFERENCES locations (id),
    pieces INTEGER NOT NULL CHECK (pieces > 0),
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX stock_channel_safety_place ON stock_channel_safety (variant_id, channel_id, location_id)
    WHERE location_id IS NOT NULL;
CREATE UNIQUE INDEX stock_channel_safety_any ON stock_channel_safety (variant_id, channel_id) WHERE location_id IS NULL;

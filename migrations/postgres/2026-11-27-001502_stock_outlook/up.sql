-- Pieces of what lies there that can not be sold (blocked, recalled or expired lots), and pieces that may be sold beyond what is there.
ALTER TABLE stock_levels ADD COLUMN withheld bigint NOT NULL DEFAULT 0 CHECK (withheld >= 0);
ALTER TABLE stock_levels ADD COLUMN beyond bigint NOT NULL DEFAULT 0 CHECK (beyond >= 0);

-- Until when and why a level is sold beyond what is there; `beyond` of the level is its limit while it is open. `highest` is the
-- highest limit there ever was: what was sold under it is not oversold.
CREATE TABLE stock_backorders (
    variant_id uuid NOT NULL REFERENCES variants (id),
    location_id uuid NOT NULL REFERENCES locations (id),
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('backorder', 'preorder')),
    pieces bigint NOT NULL CHECK (pieces >= 0),
    highest bigint NOT NULL CHECK (highest >= pieces),
    available_from timestamptz,
    closes_at timestamptz,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (variant_id, location_id)
);
CREATE INDEX stock_backorders_closing ON stock_backorders (closes_at) WHERE pieces > 0;

-- Goods that are to come: of each document its rows.
CREATE TABLE stock_expected (
    reference text COLLATE "C" NOT NULL,
    variant_id uuid NOT NULL REFERENCES variants (id),
    location_id uuid NOT NULL REFERENCES locations (id),
    expected_at timestamptz NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (reference, variant_id, location_id, expected_at)
);
CREATE INDEX stock_expected_level ON stock_expected (variant_id, location_id, expected_at);

-- Lots of a variant. What of a level is in lots that are not available is the level's `withheld`.
CREATE TABLE stock_lots (
    id uuid PRIMARY KEY,
    variant_id uuid NOT NULL REFERENCES variants (id),
    number text COLLATE "C" NOT NULL,
    expires_at timestamptz,
    state text COLLATE "C" NOT NULL CHECK (state IN ('available', 'blocked', 'recalled', 'expired')),
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX stock_lots_number ON stock_lots (variant_id, number);
CREATE INDEX stock_lots_expiring ON stock_lots (expires_at) WHERE state = 'available';

-- How much of a lot lies where: together no more than the level's on_hand.
CREATE TABLE stock_lot_levels (
    lot_id uuid NOT NULL REFERENCES stock_lots (id),
    location_id uuid NOT NULL REFERENCES locations (id),
    variant_id uuid NOT NULL,
    quantity bigint NOT NULL CHECK (quantity >= 0),
    PRIMARY KEY (lot_id, location_id)
);
CREATE INDEX stock_lot_levels_level ON stock_lot_levels (variant_id, location_id);

-- Append-only: what came to lots and left them, and with which document.
CREATE TABLE stock_lot_movements (
    seq bigserial PRIMARY KEY,
    lot_id uuid NOT NULL,
    location_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    quantity bigint NOT NULL,
    reference text COLLATE "C",
    actor text COLLATE "C" NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL
);
CREATE INDEX stock_lot_movements_lot ON stock_lot_movements (lot_id, seq);

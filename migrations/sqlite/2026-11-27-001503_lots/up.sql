-- Lots of a variant. What of a level is in lots that are not available is the level's `withheld`.
CREATE TABLE stock_lots (
    id BLOB PRIMARY KEY,
    variant_id BLOB NOT NULL REFERENCES variants (id),
    number TEXT NOT NULL,
    expires_at TEXT,
    state TEXT NOT NULL CHECK (state IN ('available', 'blocked', 'recalled', 'expired')),
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX stock_lots_number ON stock_lots (variant_id, number);
CREATE INDEX stock_lots_expiring ON stock_lots (expires_at) WHERE state = 'available';

-- How much of a lot lies where: together no more than the level's on_hand.
CREATE TABLE stock_lot_levels (
    lot_id BLOB NOT NULL REFERENCES stock_lots (id),
    location_id BLOB NOT NULL REFERENCES locations (id),
    variant_id BLOB NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity >= 0),
    PRIMARY KEY (lot_id, location_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX stock_lot_levels_level ON stock_lot_levels (variant_id, location_id);

-- Append-only: what came to lots and left them, and with which document.
CREATE TABLE stock_lot_movements (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    lot_id BLOB NOT NULL,
    location_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    reference TEXT,
    actor TEXT NOT NULL,
    occurred_at TEXT NOT NULL,
    recorded_at TEXT NOT NULL
) STRICT;
CREATE INDEX stock_lot_movements_lot ON stock_lot_movements (lot_id, seq);

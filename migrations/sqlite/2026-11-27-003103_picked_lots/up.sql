-- Of which lots pieces were taken from their shelves: they leave of these. A row counts as far as its line has pieces that were picked
-- and have not left.
CREATE TABLE picked_lots (
    fulfilment_order_id BLOB NOT NULL,
    line_no INTEGER NOT NULL,
    lot TEXT NOT NULL,
    variant_id BLOB NOT NULL,
    location_id BLOB NOT NULL,
    pieces INTEGER NOT NULL CHECK (pieces >= 0),
    PRIMARY KEY (fulfilment_order_id, line_no, lot)
) STRICT, WITHOUT ROWID;
CREATE INDEX picked_lots_lying ON picked_lots (location_id, variant_id);

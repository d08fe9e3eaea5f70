-- Of which lots pieces were taken from their shelves: they leave of these. A row counts as far as its line has pieces that were picked
-- and have not left.
CREATE TABLE picked_lots (
    fulfilment_order_id UUID NOT NULL,
    line_no BIGINT NOT NULL,
    lot TEXT COLLATE "C" NOT NULL,
    variant_id UUID NOT NULL,
    location_id UUID NOT NULL,
    pieces BIGINT NOT NULL CHECK (pieces >= 0),
    PRIMARY KEY (fulfilment_order_id, line_no, lot)
);
CREATE INDEX picked_lots_lying ON picked_lots (location_id, variant_id);

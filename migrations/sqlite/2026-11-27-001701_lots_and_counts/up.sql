-- Which lots moved with a document: what comes back by it, or arrives elsewhere, is of the lots that left.
CREATE INDEX stock_lot_movements_reference ON stock_lot_movements (reference) WHERE reference IS NOT NULL;

-- The last movement by which somebody had said how many lie there when a line was counted: where there is a later one at the approval,
-- it is counted again. None was noted of what was counted before.
ALTER TABLE stock_count_lines ADD COLUMN settled_by INTEGER;

ALTER TABLE stock_count_lines DROP COLUMN settled_by;
DROP INDEX stock_lot_movements_reference;

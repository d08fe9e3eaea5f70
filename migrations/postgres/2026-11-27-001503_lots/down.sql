DROP TABLE stock_lot_movements;
DROP TABLE stock_lot_levels;
DROP TABLE stock_lots;

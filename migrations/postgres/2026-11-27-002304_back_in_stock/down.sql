DROP TABLE back_in_stock_waves;
DROP TABLE back_in_stock;

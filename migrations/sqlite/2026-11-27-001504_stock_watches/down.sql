DROP TABLE stock_watches;

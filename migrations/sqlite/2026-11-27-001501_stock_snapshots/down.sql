DROP TABLE stock_snapshots;

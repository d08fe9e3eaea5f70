DROP TABLE wave_shorts;
DROP TABLE wave_orders;
DROP TABLE waves;
DROP TABLE stock_bins;

DROP TABLE stock_channel_safety;

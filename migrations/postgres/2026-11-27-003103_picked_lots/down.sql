DROP TABLE picked_lots;

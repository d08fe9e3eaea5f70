-- How many pieces a movement is about that changes neither number: a pick, a change of lot.
ALTER TABLE stock_movements ADD COLUMN pieces INTEGER;

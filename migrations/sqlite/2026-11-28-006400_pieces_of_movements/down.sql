-- Both of a pick's sums are zero, and nobody before knows the word.
DELETE FROM stock_movements WHERE kind = 'pick';
ALTER TABLE stock_movements DROP COLUMN pieces;

ALTER TABLE disputes DROP COLUMN excess;

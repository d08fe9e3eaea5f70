ALTER TABLE wave_shorts DROP COLUMN planned;

-- How many of the pieces that were not found were planned anew: what is left of the line is picked.
ALTER TABLE wave_shorts ADD COLUMN planned INTEGER NOT NULL DEFAULT 0 CHECK (planned >= 0 AND planned <= pieces);

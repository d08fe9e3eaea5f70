-- The lot that goods of a match are of; NULL where an older version has written it: then they are of the announced one.
ALTER TABLE dock_matches ADD COLUMN lot TEXT;

ALTER TABLE dock_matches DROP COLUMN lot;

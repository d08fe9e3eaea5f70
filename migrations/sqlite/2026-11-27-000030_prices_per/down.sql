DROP TABLE import_progress;
DROP TABLE price_list_changes;
ALTER TABLE price_changes DROP COLUMN to_per;
ALTER TABLE price_changes DROP COLUMN from_per;
ALTER TABLE prices DROP COLUMN per;

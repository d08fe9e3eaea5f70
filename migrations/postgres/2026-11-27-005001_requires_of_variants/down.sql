ALTER TABLE variants DROP COLUMN requires;

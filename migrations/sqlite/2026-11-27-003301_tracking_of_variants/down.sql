ALTER TABLE variants DROP COLUMN tracking;

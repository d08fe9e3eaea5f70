ALTER TABLE variants DROP COLUMN components;

ALTER TABLE variants DROP COLUMN backorders_until;

DROP TABLE disputes;
ALTER TABLE payments DROP COLUMN disputed;

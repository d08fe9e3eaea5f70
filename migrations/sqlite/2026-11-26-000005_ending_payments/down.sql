ALTER TABLE payments DROP COLUMN ending;

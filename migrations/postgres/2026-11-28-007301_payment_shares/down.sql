DROP INDEX payments_root;
ALTER TABLE payments DROP COLUMN root_id;
ALTER TABLE payments DROP COLUMN parent_id;

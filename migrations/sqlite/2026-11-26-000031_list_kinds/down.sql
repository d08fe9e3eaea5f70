ALTER TABLE price_lists DROP COLUMN announced_at;
ALTER TABLE price_lists DROP COLUMN kind;

-- Until when a variant could be promised beyond what there was: what was promised before is not oversold. Of those that were
-- changed before this was noted it is not known: what they had promised until then is taken to have been allowed.
ALTER TABLE variants ADD COLUMN backorders_until TEXT;
UPDATE variants SET backorders_until = updated_at WHERE backorder_policy = 'deny' AND version > 1;

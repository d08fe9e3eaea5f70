-- What a list is for: everyday prices, a reduction that is announced as one, or what was agreed. And from when on a reduction
-- was announced, where that was before it began.
ALTER TABLE price_lists ADD COLUMN kind TEXT NOT NULL DEFAULT 'base' CHECK (kind IN ('base', 'sale', 'contract'));
ALTER TABLE price_lists ADD COLUMN announced_at TEXT;

-- Until when a variant could be promised beyond what there was: what was promised before is not oversold.
ALTER TABLE variants ADD COLUMN backorders_until TEXT;

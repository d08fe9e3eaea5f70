-- What a location has to be able to do to ship a variant: words. NULL where that is nothing.
ALTER TABLE variants ADD COLUMN requires jsonb;

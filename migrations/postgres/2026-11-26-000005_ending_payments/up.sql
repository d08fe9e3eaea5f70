-- Why an open attempt is being ended: its provider is told to give it up, and nothing else may come of it.
ALTER TABLE payments ADD COLUMN ending TEXT;

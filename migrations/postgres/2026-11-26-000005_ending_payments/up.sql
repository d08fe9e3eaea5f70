-- Why an open attempt is being ended: its provider is told to give it up, and nothing else may come of it,
-- whichever version of the program asks.
ALTER TABLE payments ADD COLUMN ending TEXT CHECK (ending IS NULL OR order_id IS NULL);

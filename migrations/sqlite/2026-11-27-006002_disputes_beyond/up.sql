-- How much of a dispute was not left of its payment, and is neither counted there nor booked: banks take it all the same.
ALTER TABLE disputes ADD COLUMN excess INTEGER NOT NULL DEFAULT 0 CHECK (excess >= 0 AND excess <= amount);

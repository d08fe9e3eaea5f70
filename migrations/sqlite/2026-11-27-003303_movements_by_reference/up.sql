-- What a document has moved, the newest first.
CREATE INDEX stock_movements_reference ON stock_movements (reference, seq) WHERE reference IS NOT NULL;

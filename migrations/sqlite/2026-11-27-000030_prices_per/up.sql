-- How many pieces a price is for: 12.50 per 100. What was written without it is for one.
ALTER TABLE prices ADD COLUMN per INTEGER NOT NULL DEFAULT 1 CHECK (per BETWEEN 1 AND 1000000);
ALTER TABLE price_changes ADD COLUMN from_per INTEGER;
ALTER TABLE price_changes ADD COLUMN to_per INTEGER;

-- Every change of a price list itself: what it was (null where it was made) and what it became, with the version that it has since.
-- Rows are only ever added, and never dropped; within a list `changed_at` never goes back.
CREATE TABLE price_list_changes (
    price_list_id BLOB NOT NULL,
    version INTEGER NOT NULL,
    was TEXT,
    became TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    actor TEXT NOT NULL,
    reference TEXT,
    PRIMARY KEY (price_list_id, version)
) STRICT, WITHOUT ROWID;

-- How far an import has come that is not at its end: it goes on there when it is sent again under its key. The row goes with the
-- answer that the key keeps, or with the keys that are too old.
CREATE TABLE import_progress (
    id BLOB PRIMARY KEY,
    body_hash TEXT NOT NULL,
    rows_done INTEGER NOT NULL CHECK (rows_done >= 0),
    report TEXT NOT NULL,
    errors TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX import_progress_created ON import_progress (created_at);

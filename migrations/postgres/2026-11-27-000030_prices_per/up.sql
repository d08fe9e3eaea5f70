-- How many pieces a price is for: 12.50 per 100. What was written without it is for one.
ALTER TABLE prices ADD COLUMN per bigint NOT NULL DEFAULT 1 CHECK (per BETWEEN 1 AND 1000000);
ALTER TABLE price_changes ADD COLUMN from_per bigint;
ALTER TABLE price_changes ADD COLUMN to_per bigint;

-- Every change of a price list itself: what it was (null where it was made) and what it became, with the version that it has since.
-- Rows are only ever added, and never dropped; within a list `changed_at` never goes back.
CREATE TABLE price_list_changes (
    price_list_id uuid NOT NULL,
    version bigint NOT NULL,
    was jsonb,
    became jsonb NOT NULL,
    changed_at timestamptz NOT NULL,
    actor text COLLATE "C" NOT NULL,
    reference text COLLATE "C",
    PRIMARY KEY (price_list_id, version)
);

-- How far an import has come that is not at its end: it goes on there when it is sent again under its key. The row goes with the
-- answer that the key keeps, or with the keys that are too old.
CREATE TABLE import_progress (
    id uuid PRIMARY KEY,
    body_hash text COLLATE "C" NOT NULL,
    rows_done bigint NOT NULL CHECK (rows_done >= 0),
    report jsonb NOT NULL,
    errors jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX import_progress_created ON import_progress (created_at);

-- Every change of a price, whichever way it was made: what it was and what it became, null where there was none. Rows are
-- only ever added, and never dropped. `valid_from` is the epoch where it is open, as in `prices`; of two changes of one price
-- the later has the higher `seq`, and within a list `changed_at` never goes back.
CREATE TABLE price_changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    variant_id BLOB NOT NULL,
    price_list_id BLOB NOT NULL,
    min_quantity INTEGER NOT NULL,
    valid_from TEXT NOT NULL,
    from_amount INTEGER,
    from_until TEXT,
    to_amount INTEGER,
    to_until TEXT,
    actor TEXT NOT NULL,
    reference TEXT,
    changed_at TEXT NOT NULL,
    CHECK (from_amount IS NOT NULL OR to_amount IS NOT NULL)
) STRICT;
CREATE INDEX price_changes_time ON price_changes (changed_at, seq);
CREATE INDEX price_changes_variant ON price_changes (variant_id, changed_at, seq);
CREATE INDEX price_changes_list ON price_changes (price_list_id, changed_at, seq);
CREATE INDEX price_changes_actor ON price_changes (actor, changed_at, seq);

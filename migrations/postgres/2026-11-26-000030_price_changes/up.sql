-- Every change of a price, whichever way it was made: what it was and what it became, null where there was none. Rows are
-- only ever added, and never dropped. `valid_from` is the epoch where it is open, as in `prices`; of two changes of one price
-- the later has the higher `seq`, and within a list `changed_at` never goes back.
CREATE TABLE price_changes (
    seq bigserial PRIMARY KEY,
    id uuid NOT NULL,
    variant_id uuid NOT NULL,
    price_list_id uuid NOT NULL,
    min_quantity bigint NOT NULL,
    valid_from timestamptz NOT NULL,
    from_amount bigint,
    from_until timestamptz,
    to_amount bigint,
    to_until timestamptz,
    actor text COLLATE "C" NOT NULL,
    reference text COLLATE "C",
    changed_at timestamptz NOT NULL,
    CHECK (from_amount IS NOT NULL OR to_amount IS NOT NULL)
);
CREATE INDEX price_changes_time ON price_changes (changed_at, seq);
CREATE INDEX price_changes_variant ON price_changes (variant_id, changed_at, seq);
CREATE INDEX price_changes_list ON price_changes (price_list_id, changed_at, seq);
CREATE INDEX price_changes_actor ON price_changes (actor, changed_at, seq);

-- When a promotion that everybody gets went on, and what it said then: the prices that it made are prices that applied (Directive
-- 98/6/EC, Article 6a). A run begins when such a promotion is activated and ends when it is paused, ended, or says something else
-- from then on. Rows are added and ended, never changed otherwise and never dropped. `doc` is its rule.
CREATE TABLE promotion_runs (
    promotion_id BLOB NOT NULL REFERENCES promotions (id),
    run_no INTEGER NOT NULL,
    channel_id BLOB,
    priority INTEGER NOT NULL,
    valid_from TEXT,
    valid_until TEXT,
    doc TEXT NOT NULL,
    began_at TEXT NOT NULL,
    ended_at TEXT,
    began_by TEXT NOT NULL,
    ended_by TEXT,
    PRIMARY KEY (promotion_id, run_no),
    CHECK (ended_at IS NULL OR ended_at >= began_at),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE UNIQUE INDEX promotion_runs_open ON promotion_runs (promotion_id) WHERE ended_at IS NULL;

-- What goes on now is taken to have begun when it was made: nothing else is known of it.
INSERT INTO promotion_runs (promotion_id, run_no, channel_id, priority, valid_from, valid_until, doc, began_at, ended_at, began_by, ended_by)
SELECT id, 1, channel_id, priority, valid_from, valid_until, doc, created_at, NULL, 'system', NULL FROM promotions WHERE state = 'active';

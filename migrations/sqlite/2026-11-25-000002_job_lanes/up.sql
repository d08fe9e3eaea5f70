-- Jobs of one lane share the workers with those of the others; the empty lane, where jobs written before are, has workers of
-- its own.
ALTER TABLE jobs ADD COLUMN lane TEXT NOT NULL DEFAULT '';
DROP INDEX jobs_due;
CREATE INDEX jobs_due ON jobs (lane, run_at, seq) WHERE state = 'ready';

DROP INDEX jobs_due;
ALTER TABLE jobs DROP COLUMN lane;
CREATE INDEX jobs_due ON jobs (run_at, seq) WHERE state = 'ready';

-- What has crossed a dock on a day is counted for what it can take.
CREATE INDEX CONCURRENTLY IF NOT EXISTS dock_matches_done ON dock_matches (location_id, ended_at) WHERE state = 'done';

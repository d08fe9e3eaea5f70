-- Work that has ended is dropped after a while, the oldest first.
CREATE INDEX waves_ended ON waves (updated_at) WHERE state IN ('done', 'cancelled');
CREATE INDEX dock_tasks_ended ON dock_tasks (ended_at) WHERE state IN ('done', 'cancelled');
CREATE INDEX dock_matches_cancelled ON dock_matches (ended_at) WHERE state = 'cancelled';

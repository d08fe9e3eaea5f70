DROP INDEX dock_matches_cancelled;
DROP INDEX dock_tasks_ended;
DROP INDEX waves_ended;

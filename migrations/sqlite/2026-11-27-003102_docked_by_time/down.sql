DROP INDEX dock_matches_done;

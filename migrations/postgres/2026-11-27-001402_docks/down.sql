DROP TABLE dock_tasks;
DROP TABLE dock_matches;
DROP TABLE dock_demands;
DROP TABLE dock_hubs;

DROP TABLE connector_run_items;
DROP TABLE connector_runs;

DROP TABLE promotion_runs;

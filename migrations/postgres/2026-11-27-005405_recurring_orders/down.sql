DROP TABLE recurring_runs;
DROP TABLE recurring_orders;

DROP TABLE process_decisions;

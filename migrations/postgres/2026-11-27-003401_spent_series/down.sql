ALTER TABLE legal_entities DROP COLUMN spent_series;

DROP TABLE risk_code_tries;
DROP TABLE risk_entries;
DROP TABLE risk_marks;
DROP TABLE risk_assessments;
DROP TABLE risk_profiles;

-- Gift cards by the last characters of their codes, as customers quote them.
CREATE INDEX stored_values_code_end ON stored_values (code_end, id) WHERE code_end IS NOT NULL;

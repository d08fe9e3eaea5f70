DROP TABLE stored_value_holds;
DROP TABLE stored_value_entries;
DROP TABLE stored_values;

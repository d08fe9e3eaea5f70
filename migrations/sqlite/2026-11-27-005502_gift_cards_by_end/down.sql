DROP INDEX stored_values_code_end;

ALTER TABLE carrier_labels DROP COLUMN ask_at;

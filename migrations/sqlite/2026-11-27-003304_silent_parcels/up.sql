-- When it is looked whether anything was heard of the parcel of a label: then its carrier is asked. Never where it is NULL.
ALTER TABLE carrier_labels ADD COLUMN ask_at TEXT;

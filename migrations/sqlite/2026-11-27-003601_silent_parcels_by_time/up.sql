-- Of which parcels it is to be looked whether anything was heard, those first that are due first.
CREATE INDEX carrier_labels_silent ON carrier_labels (ask_at, id) WHERE ask_at IS NOT NULL;

DROP TABLE carrier_labels;
DROP TABLE carrier_accounts;

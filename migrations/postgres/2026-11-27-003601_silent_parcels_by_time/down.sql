DROP INDEX carrier_labels_silent;

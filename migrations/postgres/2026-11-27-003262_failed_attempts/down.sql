DROP INDEX shipments_attempts;

DROP INDEX shipments_shipped;

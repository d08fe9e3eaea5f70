DROP TABLE delivery_waits;

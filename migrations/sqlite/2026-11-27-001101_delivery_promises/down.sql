DROP TABLE delivery_promises;

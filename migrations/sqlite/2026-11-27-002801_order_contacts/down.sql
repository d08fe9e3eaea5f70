DROP TABLE order_contacts;

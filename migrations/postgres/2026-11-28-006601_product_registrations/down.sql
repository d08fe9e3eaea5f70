DROP TABLE product_registrations;

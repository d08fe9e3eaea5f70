DROP TABLE order_templates;

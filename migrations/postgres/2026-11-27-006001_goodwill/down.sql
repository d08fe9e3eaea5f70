ALTER TABLE orders DROP COLUMN shipping_goodwill;
ALTER TABLE order_lines DROP COLUMN goodwill;

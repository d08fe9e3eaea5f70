DROP TABLE inbound_units;
DROP TABLE inbound_lines;
DROP TABLE inbound_shipments;
DROP TABLE purchase_order_lines;
DROP TABLE purchase_orders;

DROP INDEX orders_purchase_order;

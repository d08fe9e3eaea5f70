DROP INDEX orders_held;

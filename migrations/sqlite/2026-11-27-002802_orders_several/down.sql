DROP INDEX orders_several;

DROP INDEX orders_hold_ends;

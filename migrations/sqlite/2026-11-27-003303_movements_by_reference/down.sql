DROP INDEX stock_movements_reference;

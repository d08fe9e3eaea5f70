DROP TABLE stock_expected;
DROP TABLE stock_backorders;
ALTER TABLE stock_levels DROP COLUMN beyond;
ALTER TABLE stock_levels DROP COLUMN withheld;

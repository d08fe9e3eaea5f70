-- A list for a company would be one for everybody.
DELETE FROM prices WHERE price_list_id IN (SELECT id FROM price_lists WHERE company_id IS NOT NULL);
DELETE FROM price_lists WHERE company_id IS NOT NULL;
ALTER TABLE price_lists DROP COLUMN company_id;
ALTER TABLE customers DROP COLUMN company_id;
DROP TABLE companies;

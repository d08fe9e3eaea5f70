DROP INDEX companies_vat_id;

DROP INDEX customers_company;

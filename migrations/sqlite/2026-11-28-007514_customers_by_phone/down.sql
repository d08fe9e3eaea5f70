DROP INDEX customers_phone;

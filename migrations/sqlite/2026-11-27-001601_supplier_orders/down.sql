DROP TABLE supplier_invoices;
DROP TABLE supplier_orders;

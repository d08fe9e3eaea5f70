DROP TABLE invoice_documents;
DROP TABLE invoice_series;
ALTER TABLE legal_entities DROP COLUMN invoicing;

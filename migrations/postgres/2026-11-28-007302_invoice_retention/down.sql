DROP INDEX invoice_documents_redacted;
DROP INDEX invoice_documents_kept;
ALTER TABLE invoice_documents DROP COLUMN redacted_at;

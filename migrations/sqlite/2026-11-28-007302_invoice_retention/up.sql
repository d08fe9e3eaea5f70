-- When what is personal was taken out of a document, after the day until which it had to be kept. It is the one thing that changes a row,
-- with the hash of what is left; number, days and sums stay.
ALTER TABLE invoice_documents ADD COLUMN redacted_at TEXT;
CREATE INDEX invoice_documents_kept ON invoice_documents (retain_until, id) WHERE redacted_at IS NULL;
CREATE INDEX invoice_documents_redacted ON invoice_documents (retain_until) WHERE redacted_at IS NOT NULL;

ALTER TABLE bulk_items DROP COLUMN order_version;
DROP INDEX bulk_jobs_token;
ALTER TABLE bulk_jobs DROP COLUMN token_hash;

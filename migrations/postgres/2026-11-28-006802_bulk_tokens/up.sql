-- What was looked at is started once: by the hash of its token.
ALTER TABLE bulk_jobs ADD COLUMN token_hash text COLLATE "C";
CREATE UNIQUE INDEX bulk_jobs_token ON bulk_jobs (token_hash);
-- Where a second person has approved the work: the version of the order that they have approved it for.
ALTER TABLE bulk_items ADD COLUMN order_version bigint;

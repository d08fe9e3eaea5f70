-- What somebody has decided is looked for when it is given out to them, and when they are erased.
CREATE INDEX CONCURRENTLY IF NOT EXISTS approval_decisions_customer ON approval_decisions (customer_id, request_id);

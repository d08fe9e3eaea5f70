-- Payments that somebody has to look at.
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_due ON payments (due_at, id) WHERE due_at IS NOT NULL;

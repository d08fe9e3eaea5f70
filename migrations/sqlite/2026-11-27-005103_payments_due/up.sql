-- Payments that somebody has to look at.
CREATE INDEX payments_due ON payments (due_at, id) WHERE due_at IS NOT NULL;

-- Wishes to have carts approved by others of the company. `given` counts the approvals.
CREATE TABLE approval_requests (
    id BLOB PRIMARY KEY,
    channel_id BLOB NOT NULL,
    company_id BLOB NOT NULL,
    cart_id BLOB NOT NULL,
    customer_id BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('awaiting', 'approved', 'rejected', 'expired', 'withdrawn', 'ordered', 'failed')),
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL,
    needed INTEGER NOT NULL CHECK (needed > 0),
    given INTEGER NOT NULL CHECK (given >= 0),
    role TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    order_id BLOB,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT approval_requests_given CHECK (given <= needed)
) STRICT;
-- A cart waits for one decision at a time.
CREATE UNIQUE INDEX approval_requests_cart ON approval_requests (cart_id) WHERE state IN ('awaiting', 'approved');
CREATE INDEX approval_requests_company ON approval_requests (company_id, id);
CREATE INDEX approval_requests_customer ON approval_requests (customer_id, id);
CREATE INDEX approval_requests_due ON approval_requests (expires_at) WHERE state = 'awaiting';

-- Who has said what: each once.
CREATE TABLE approval_decisions (
    request_id BLOB NOT NULL REFERENCES approval_requests (id),
    customer_id BLOB NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('approve', 'reject')),
    note TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (request_id, customer_id)
) STRICT;

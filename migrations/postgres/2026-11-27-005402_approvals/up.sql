-- Wishes to have carts approved by others of the company. `given` counts the approvals.
CREATE TABLE approval_requests (
    id uuid PRIMARY KEY,
    channel_id uuid NOT NULL,
    company_id uuid NOT NULL,
    cart_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('awaiting', 'approved', 'rejected', 'expired', 'withdrawn', 'ordered', 'failed')),
    currency text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    needed bigint NOT NULL CHECK (needed > 0),
    given bigint NOT NULL CHECK (given >= 0),
    role text COLLATE "C" NOT NULL,
    expires_at timestamptz NOT NULL,
    order_id uuid,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT approval_requests_given CHECK (given <= needed)
);
-- A cart waits for one decision at a time.
CREATE UNIQUE INDEX approval_requests_cart ON approval_requests (cart_id) WHERE state IN ('awaiting', 'approved');
CREATE INDEX approval_requests_company ON approval_requests (company_id, id);
CREATE INDEX approval_requests_customer ON approval_requests (customer_id, id);
CREATE INDEX approval_requests_due ON approval_requests (expires_at) WHERE state = 'awaiting';

-- Who has said what: each once.
CREATE TABLE approval_decisions (
    request_id uuid NOT NULL REFERENCES approval_requests (id),
    customer_id uuid NOT NULL,
    verdict text COLLATE "C" NOT NULL CHECK (verdict IN ('approve', 'reject')),
    note text COLLATE "C",
    created_at timestamptz NOT NULL,
    PRIMARY KEY (request_id, customer_id)
);

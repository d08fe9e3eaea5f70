-- What is agreed in a contract beside its prices.
ALTER TABLE price_lists ADD COLUMN terms TEXT;

-- A second person approves more than refunds, agreed prices and work by the hundred. A CHECK is changed with its table alone.
CREATE TABLE countersign_requests_new (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('refund', 'override', 'bulk', 'cancel', 'return', 'overpayment', 'discount', 'quote', 'stored_value')),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'declined', 'withdrawn', 'done', 'refused')),
    channel_id BLOB,
    order_id BLOB,
    asked_by TEXT NOT NULL,
    decided_by TEXT,
    doc TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT countersign_requests_decided CHECK ((state = 'waiting') = (decided_by IS NULL)),
    CONSTRAINT countersign_requests_second CHECK (state IN ('waiting', 'withdrawn') OR decided_by <> asked_by)
) STRICT;
INSERT INTO countersign_requests_new SELECT * FROM countersign_requests;
DROP TABLE countersign_requests;
ALTER TABLE countersign_requests_new RENAME TO countersign_requests;
CREATE INDEX countersign_requests_state ON countersign_requests (state, id);
CREATE INDEX countersign_requests_order ON countersign_requests (order_id, id) WHERE order_id IS NOT NULL;

-- What was given away of something (an order, a cart, a quote, a customer's day) without a second person, by what as: one row decides how
-- much more is, however many give at once.
CREATE TABLE given_alone (
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    updated_at TEXT NOT NULL,
    PRIMARY KEY (subject, kind, currency)
) STRICT;

-- Above its limit a company's order may wait for the shop's approval.
CREATE TABLE company_credits_new (
    company_id BLOB NOT NULL REFERENCES companies (id),
    currency TEXT NOT NULL,
    credit_limit INTEGER NOT NULL CHECK (credit_limit >= 0),
    used INTEGER NOT NULL CHECK (used >= 0),
    above TEXT NOT NULL CHECK (above IN ('decline', 'hold', 'approval')),
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (company_id, currency)
) STRICT;
INSERT INTO company_credits_new SELECT company_id, currency, credit_limit, used, above, version, created_at, updated_at FROM company_credits;
DROP TABLE company_credits;
ALTER TABLE company_credits_new RENAME TO company_credits;

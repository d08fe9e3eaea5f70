LOCK TABLE company_credits IN ACCESS EXCLUSIVE MODE;
CREATE TABLE company_credits_new (
    company_id uuid NOT NULL REFERENCES companies (id),
    currency text COLLATE "C" NOT NULL,
    credit_limit bigint NOT NULL CHECK (credit_limit >= 0),
    used bigint NOT NULL CHECK (used >= 0),
    above text COLLATE "C" NOT NULL CHECK (above IN ('decline', 'hold')),
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (company_id, currency)
);
INSERT INTO company_credits_new SELECT company_id, currency, credit_limit, used, CASE above WHEN 'approval' THEN 'decline' ELSE above END, version, created_at, updated_at FROM company_credits;
DROP TABLE company_credits;
ALTER TABLE company_credits_new RENAME TO company_credits;

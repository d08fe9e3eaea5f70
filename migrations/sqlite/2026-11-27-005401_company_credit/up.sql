-- What a member of a company may do for it. A customer of a company who is not here is a buyer without a limit.
CREATE TABLE company_members (
    customer_id BLOB PRIMARY KEY,
    company_id BLOB NOT NULL REFERENCES companies (id),
    role TEXT NOT NULL CHECK (role IN ('buyer', 'approver', 'admin')),
    order_limit INTEGER CHECK (order_limit >= 0),
    currency TEXT,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT company_members_limit CHECK ((order_limit IS NULL) = (currency IS NULL))
) STRICT;
CREATE INDEX company_members_of ON company_members (company_id, customer_id);

-- How much a company may owe on account in a currency, and how much of that it does: this row is the guard.
CREATE TABLE company_credits (
    company_id BLOB NOT NULL REFERENCES companies (id),
    currency TEXT NOT NULL,
    credit_limit INTEGER NOT NULL CHECK (credit_limit >= 0),
    used INTEGER NOT NULL CHECK (used >= 0),
    above TEXT NOT NULL CHECK (above IN ('decline', 'hold')),
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (company_id, currency)
) STRICT;

-- What an order owes on account: its payment, how much of it is open, until when it is to be paid.
CREATE TABLE company_debts (
    payment_id BLOB PRIMARY KEY,
    company_id BLOB NOT NULL,
    order_id BLOB NOT NULL,
    order_number TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    open INTEGER NOT NULL,
    paid INTEGER NOT NULL CHECK (paid >= 0),
    due_at TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT company_debts_open CHECK (open >= 0 AND open <= amount)
) STRICT;
CREATE INDEX company_debts_of ON company_debts (company_id, due_at, payment_id);
CREATE INDEX company_debts_due ON company_debts (due_at, payment_id) WHERE open > 0;

-- Every change of a company's credit; the amounts sum to what is used.
CREATE TABLE company_credit_entries (
    id BLOB PRIMARY KEY,
    company_id BLOB NOT NULL,
    currency TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('limit', 'order', 'payment', 'release', 'raise')),
    amount INTEGER NOT NULL,
    used_after INTEGER NOT NULL,
    version INTEGER NOT NULL,
    payment_id BLOB,
    order_id BLOB,
    actor TEXT NOT NULL,
    reason TEXT,
    created_at TEXT NOT NULL
) STRICT;
-- Each version of a credit has the entry that made it.
CREATE UNIQUE INDEX company_credit_entries_of ON company_credit_entries (company_id, currency, version);

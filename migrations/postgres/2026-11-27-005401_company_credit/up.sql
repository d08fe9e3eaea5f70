-- What a member of a company may do for it. A customer of a company who is not here is a buyer without a limit.
CREATE TABLE company_members (
    customer_id uuid PRIMARY KEY,
    company_id uuid NOT NULL REFERENCES companies (id),
    role text COLLATE "C" NOT NULL CHECK (role IN ('buyer', 'approver', 'admin')),
    order_limit bigint CHECK (order_limit >= 0),
    currency text COLLATE "C",
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT company_members_limit CHECK ((order_limit IS NULL) = (currency IS NULL))
);
CREATE INDEX company_members_of ON company_members (company_id, customer_id);

-- How much a company may owe on account in a currency, and how much of that it does: this row is the guard.
CREATE TABLE company_credits (
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

-- What an order owes on account: its payment, how much of it is open, until when it is to be paid.
CREATE TABLE company_debts (
    payment_id uuid PRIMARY KEY,
    company_id uuid NOT NULL,
    order_id uuid NOT NULL,
    order_number text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    open bigint NOT NULL,
    paid bigint NOT NULL CHECK (paid >= 0),
    due_at timestamptz NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT company_debts_open CHECK (open >= 0 AND open <= amount)
);
CREATE INDEX company_debts_of ON company_debts (company_id, due_at, payment_id);
CREATE INDEX company_debts_due ON company_debts (due_at, payment_id) WHERE open > 0;

-- Every change of a company's credit; the amounts sum to what is used.
CREATE TABLE company_credit_entries (
    id uuid PRIMARY KEY,
    company_id uuid NOT NULL,
    currency text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('limit', 'order', 'payment', 'release', 'raise')),
    amount bigint NOT NULL,
    used_after bigint NOT NULL,
    version bigint NOT NULL,
    payment_id uuid,
    order_id uuid,
    actor text COLLATE "C" NOT NULL,
    reason text COLLATE "C",
    created_at timestamptz NOT NULL
);
-- Each version of a credit has the entry that made it.
CREATE UNIQUE INDEX company_credit_entries_of ON company_credit_entries (company_id, currency, version);

DROP TABLE company_credit_entries;
DROP TABLE company_debts;
DROP TABLE company_credits;
DROP TABLE company_members;

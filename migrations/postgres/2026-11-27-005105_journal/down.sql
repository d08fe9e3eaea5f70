DROP TABLE journal_accounts;
DROP TABLE journal_state;
DROP TABLE journal_postings;

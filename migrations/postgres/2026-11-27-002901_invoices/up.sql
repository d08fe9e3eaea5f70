-- What an invoice of a legal entity says of its seller, and how its numbers look. Null: it writes none.
ALTER TABLE legal_entities ADD COLUMN invoicing jsonb;

-- The last number of a series of invoices or credit notes, and the day of it: one row is counted up for each document, in the
-- document's own transaction, so numbers have no gaps and their days never go back.
CREATE TABLE invoice_series (
    legal_entity_id uuid NOT NULL REFERENCES legal_entities (id),
    series text COLLATE "C" NOT NULL,
    last bigint NOT NULL CHECK (last > 0),
    last_on text COLLATE "C" NOT NULL CHECK (length(last_on) = 10),
    PRIMARY KEY (legal_entity_id, series)
);

-- Invoices and credit notes as they were issued. Nothing changes a row: `document` is the text of which `sha256` is the hash.
CREATE TABLE invoice_documents (
    id uuid NOT NULL PRIMARY KEY,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('invoice', 'credit_note')),
    legal_entity_id uuid NOT NULL REFERENCES legal_entities (id),
    channel_id uuid NOT NULL REFERENCES channels (id),
    order_id uuid NOT NULL REFERENCES orders (id),
    order_number text COLLATE "C" NOT NULL,
    cause text COLLATE "C" NOT NULL,
    series text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    number text COLLATE "C" NOT NULL,
    issued_on text COLLATE "C" NOT NULL CHECK (length(issued_on) = 10),
    due_on text COLLATE "C" NOT NULL CHECK (length(due_on) = 10),
    retain_until text COLLATE "C" NOT NULL CHECK (length(retain_until) = 10),
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    net bigint NOT NULL CHECK (net >= 0),
    tax bigint NOT NULL CHECK (tax >= 0),
    total bigint NOT NULL CHECK (total = net + tax),
    document text COLLATE "C" NOT NULL,
    sha256 text COLLATE "C" NOT NULL CHECK (length(sha256) = 64),
    recorded_at timestamptz NOT NULL,
    UNIQUE (order_id, cause),
    UNIQUE (legal_entity_id, series, sequence)
);
CREATE INDEX invoice_documents_number ON invoice_documents (number);
CREATE INDEX invoice_documents_day ON invoice_documents (issued_on, id);
CREATE INDEX invoice_documents_entity ON invoice_documents (legal_entity_id, issued_on, id);

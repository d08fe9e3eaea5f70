-- Whom a shop sends with: an adapter, its settings, its secrets (sealed).
CREATE TABLE carrier_accounts (
    id uuid PRIMARY KEY,
    code text COLLATE "C" NOT NULL UNIQUE,
    adapter text COLLATE "C" NOT NULL,
    active boolean NOT NULL,
    doc jsonb NOT NULL,
    secrets text COLLATE "C",
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- Labels that are bought of carriers. A package has one that counts at a time.
CREATE TABLE carrier_labels (
    id uuid PRIMARY KEY,
    package_id uuid NOT NULL REFERENCES packages (id),
    account_id uuid NOT NULL REFERENCES carrier_accounts (id),
    state text COLLATE "C" NOT NULL CHECK (state IN ('requested', 'bought', 'failed', 'voiding', 'voided')),
    carrier text COLLATE "C",
    tracking_number text COLLATE "C",
    tracking_folded text COLLATE "C",
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX carrier_labels_package ON carrier_labels (package_id) WHERE state IN ('requested', 'bought', 'voiding');
CREATE INDEX carrier_labels_history ON carrier_labels (package_id, id);
CREATE INDEX carrier_labels_number ON carrier_labels (tracking_folded) WHERE tracking_folded IS NOT NULL;

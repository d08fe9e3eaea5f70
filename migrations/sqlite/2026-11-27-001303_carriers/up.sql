-- Whom a shop sends with: an adapter, its settings, its secrets (sealed).
CREATE TABLE carrier_accounts (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    adapter TEXT NOT NULL,
    active INTEGER NOT NULL,
    doc TEXT NOT NULL,
    secrets TEXT,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Labels that are bought of carriers. A package has one that counts at a time.
CREATE TABLE carrier_labels (
    id BLOB PRIMARY KEY,
    package_id BLOB NOT NULL REFERENCES packages (id),
    account_id BLOB NOT NULL REFERENCES carrier_accounts (id),
    state TEXT NOT NULL CHECK (state IN ('requested', 'bought', 'failed', 'voiding', 'voided')),
    carrier TEXT,
    tracking_number TEXT,
    tracking_folded TEXT,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX carrier_labels_package ON carrier_labels (package_id) WHERE state IN ('requested', 'bought', 'voiding');
CREATE INDEX carrier_labels_history ON carrier_labels (package_id, id);
CREATE INDEX carrier_labels_number ON carrier_labels (tracking_folded) WHERE tracking_folded IS NOT NULL;

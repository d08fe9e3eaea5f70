-- What people say about an order, to each other or to its customer.
CREATE TABLE order_notes (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL REFERENCES orders (id),
    visibility TEXT NOT NULL CHECK (visibility IN ('staff', 'customer')),
    body TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX order_notes_order ON order_notes (order_id, created_at);

-- Words by which people find orders again.
CREATE TABLE order_tags (
    order_id BLOB NOT NULL REFERENCES orders (id),
    tag TEXT NOT NULL CHECK (length(tag) BETWEEN 1 AND 50),
    PRIMARY KEY (order_id, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX order_tags_tag ON order_tags (tag, order_id);

-- Documents that belong to an order and lie elsewhere: what they are, and where.
CREATE TABLE order_attachments (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL REFERENCES orders (id),
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size >= 0),
    url TEXT NOT NULL,
    sha256 TEXT CHECK (length(sha256) = 64),
    author TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX order_attachments_order ON order_attachments (order_id, created_at);

-- When somebody last asked that the confirmation of an order be sent again: not again and again.
CREATE TABLE order_confirmations (
    order_id BLOB PRIMARY KEY NOT NULL REFERENCES orders (id),
    asked_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

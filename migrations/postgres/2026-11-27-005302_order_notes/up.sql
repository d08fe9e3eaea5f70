-- What people say about an order, to each other or to its customer.
CREATE TABLE order_notes (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id),
    visibility text COLLATE "C" NOT NULL CHECK (visibility IN ('staff', 'customer')),
    body text COLLATE "C" NOT NULL,
    author text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX order_notes_order ON order_notes (order_id, created_at);

-- Words by which people find orders again.
CREATE TABLE order_tags (
    order_id uuid NOT NULL REFERENCES orders (id),
    tag text COLLATE "C" NOT NULL CHECK (length(tag) BETWEEN 1 AND 50),
    PRIMARY KEY (order_id, tag)
);
CREATE INDEX order_tags_tag ON order_tags (tag, order_id);

-- Documents that belong to an order and lie elsewhere: what they are, and where.
CREATE TABLE order_attachments (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id),
    name text COLLATE "C" NOT NULL,
    media_type text COLLATE "C" NOT NULL,
    size bigint NOT NULL CHECK (size >= 0),
    url text COLLATE "C" NOT NULL,
    sha256 text COLLATE "C" CHECK (length(sha256) = 64),
    author text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX order_attachments_order ON order_attachments (order_id, created_at);

-- When somebody last asked that the confirmation of an order be sent again: not again and again.
CREATE TABLE order_confirmations (
    order_id uuid PRIMARY KEY NOT NULL REFERENCES orders (id),
    asked_at timestamptz NOT NULL
);

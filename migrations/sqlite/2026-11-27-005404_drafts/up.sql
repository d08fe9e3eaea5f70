-- Orders that staff prepare for somebody who has called or written: a cart, how they were reached, and a link to pay it.
CREATE TABLE drafts (
    id BLOB PRIMARY KEY,
    channel_id BLOB NOT NULL,
    cart_id BLOB NOT NULL UNIQUE,
    contact TEXT NOT NULL CHECK (contact IN ('phone', 'email', 'fax', 'chat', 'post', 'visit')),
    state TEXT NOT NULL CHECK (state IN ('open', 'cancelled')),
    link_expires_at TEXT,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT drafts_link CHECK (state = 'open' OR link_expires_at IS NULL)
) STRICT;

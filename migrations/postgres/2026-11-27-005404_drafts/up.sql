-- Orders that staff prepare for somebody who has called or written: a cart, how they were reached, and a link to pay it.
CREATE TABLE drafts (
    id uuid PRIMARY KEY,
    channel_id uuid NOT NULL,
    cart_id uuid NOT NULL UNIQUE,
    contact text COLLATE "C" NOT NULL CHECK (contact IN ('phone', 'email', 'fax', 'chat', 'post', 'visit')),
    state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'cancelled')),
    link_expires_at timestamptz,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT drafts_link CHECK (state = 'open' OR link_expires_at IS NULL)
);

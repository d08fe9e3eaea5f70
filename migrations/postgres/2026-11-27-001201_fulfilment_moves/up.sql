-- Fulfilment orders that are moved, split, merged and held.
-- `moved` are those of the cancelled pieces that another fulfilment order of the same order ships instead.
ALTER TABLE fulfilment_lines ADD COLUMN moved bigint NOT NULL DEFAULT 0 CHECK (moved >= 0 AND moved <= cancelled);
-- What is due first among what is due at once: the higher, the sooner.
ALTER TABLE fulfilment_orders ADD COLUMN priority bigint NOT NULL DEFAULT 0;
-- Until when a shop has to say that it takes it; null where nobody has to, or it has said so.
ALTER TABLE fulfilment_orders ADD COLUMN accept_by timestamptz;
ALTER TABLE fulfilment_orders ADD COLUMN doc jsonb;
-- When it was taken back that it had left.
ALTER TABLE shipments ADD COLUMN corrected_at timestamptz;

-- Why nothing is picked, packed and shipped of a fulfilment order. Rows are kept when they are released.
CREATE TABLE fulfilment_holds (
    id uuid PRIMARY KEY,
    fulfilment_order_id uuid NOT NULL REFERENCES fulfilment_orders (id),
    kind text COLLATE "C" NOT NULL,
    doc jsonb NOT NULL,
    placed_at timestamptz NOT NULL,
    expires_at timestamptz,
    released_at timestamptz,
    released_by text COLLATE "C"
);
-- One of a kind at a time.
CREATE UNIQUE INDEX fulfilment_holds_live ON fulfilment_holds (fulfilment_order_id, kind) WHERE released_at IS NULL;
CREATE INDEX fulfilment_holds_expiring ON fulfilment_holds (expires_at, id) WHERE released_at IS NULL AND expires_at IS NOT NULL;

-- Lines of orders that are presents: who has the receipt that goes with them can send them back, and get a gift card for them.
CREATE TABLE gift_receipts (
    id uuid NOT NULL PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id),
    doc jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX gift_receipts_order ON gift_receipts (order_id);

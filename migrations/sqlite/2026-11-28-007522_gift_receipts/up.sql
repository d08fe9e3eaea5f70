-- Lines of orders that are presents: who has the receipt that goes with them can send them back, and get a gift card for them.
CREATE TABLE gift_receipts (
    id BLOB NOT NULL PRIMARY KEY,
    order_id BLOB NOT NULL REFERENCES orders (id),
    doc TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX gift_receipts_order ON gift_receipts (order_id);

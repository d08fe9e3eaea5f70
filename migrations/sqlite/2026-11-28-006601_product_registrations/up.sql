-- Products that their owners have registered: each piece of an order's line once, a serial number once for its article.
CREATE TABLE product_registrations (
    id BLOB NOT NULL PRIMARY KEY,
    order_id BLOB NOT NULL REFERENCES orders (id),
    channel_id BLOB NOT NULL REFERENCES channels (id),
    line_no INTEGER NOT NULL,
    unit_no INTEGER NOT NULL CHECK (unit_no >= 1),
    variant_id BLOB NOT NULL,
    sku TEXT NOT NULL,
    -- As it was written; gone after an erasure.
    serial TEXT,
    -- Its letters and digits.
    serial_key TEXT,
    -- From when on its warranty is over.
    ends_at TEXT NOT NULL,
    -- The last claim on that.
    request_id BLOB,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    registered_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (order_id, line_no, unit_no)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX product_registrations_serial ON product_registrations (serial_key, variant_id) WHERE serial_key IS NOT NULL;
CREATE INDEX product_registrations_sku ON product_registrations (sku, id);

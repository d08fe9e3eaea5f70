-- Products that their owners have registered: each piece of an order's line once, a serial number once for its article.
CREATE TABLE product_registrations (
    id uuid NOT NULL PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id),
    channel_id uuid NOT NULL REFERENCES channels (id),
    line_no bigint NOT NULL,
    unit_no bigint NOT NULL CHECK (unit_no >= 1),
    variant_id uuid NOT NULL,
    sku text COLLATE "C" NOT NULL,
    -- As it was written; gone after an erasure.
    serial text COLLATE "C",
    -- Its letters and digits.
    serial_key text COLLATE "C",
    -- From when on its warranty is over.
    ends_at timestamptz NOT NULL,
    -- The last claim on that.
    request_id uuid,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    registered_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (order_id, line_no, unit_no)
);
CREATE UNIQUE INDEX product_registrations_serial ON product_registrations (serial_key, variant_id) WHERE serial_key IS NOT NULL;
CREATE INDEX product_registrations_sku ON product_registrations (sku, id);

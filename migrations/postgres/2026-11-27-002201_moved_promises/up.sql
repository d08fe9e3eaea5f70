-- Orders that wait for goods, and until when they have arrived as they were told last, where their promise was moved. `ended_at` is when
-- all of their goods were there, or nothing was left to ship.
CREATE TABLE delivery_waits (
    order_id uuid PRIMARY KEY REFERENCES orders (id),
    told_until timestamptz,
    since timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX delivery_waits_open ON delivery_waits (order_id) WHERE ended_at IS NULL;

-- Until when an order's goods have arrived, as it was promised when it was placed.
CREATE TABLE delivery_promises (
    order_id uuid PRIMARY KEY REFERENCES orders (id),
    promised_until timestamptz NOT NULL
);

-- Until when an order's goods have arrived, as it was promised when it was placed.
CREATE TABLE delivery_promises (
    order_id BLOB PRIMARY KEY REFERENCES orders (id),
    promised_until TEXT NOT NULL
) STRICT, WITHOUT ROWID;

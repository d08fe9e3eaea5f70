-- By what an order is found of its deliveries beside the first: that one stands in its own row. Erasure empties the rows and leaves them.
CREATE TABLE order_contacts (
    order_id uuid NOT NULL REFERENCES orders (id),
    delivery bigint NOT NULL CHECK (delivery > 0),
    name_folded text COLLATE "C" NOT NULL,
    postcode_folded text COLLATE "C",
    phone_digits text COLLATE "C",
    placed_at timestamptz NOT NULL,
    PRIMARY KEY (order_id, delivery)
);
CREATE INDEX order_contacts_name ON order_contacts (name_folded, placed_at, order_id);
CREATE INDEX order_contacts_postcode ON order_contacts (postcode_folded, name_folded, placed_at, order_id) WHERE postcode_folded IS NOT NULL;
CREATE INDEX order_contacts_phone ON order_contacts (phone_digits, placed_at, order_id) WHERE phone_digits IS NOT NULL;

-- The fulfilment orders that a shop has not taken yet.
CREATE INDEX fulfilment_orders_accept ON fulfilment_orders (accept_by, id) WHERE accept_by IS NOT NULL;

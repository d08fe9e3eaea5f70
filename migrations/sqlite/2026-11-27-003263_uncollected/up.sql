-- What is ready for customers who have not come for it.
CREATE INDEX fulfilment_orders_collect ON fulfilment_orders (collect_by, id) WHERE collect_by IS NOT NULL AND state = 'packed';

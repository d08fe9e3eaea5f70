DROP INDEX fulfilment_orders_accept;

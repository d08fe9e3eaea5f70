DROP INDEX fulfilment_orders_collect;

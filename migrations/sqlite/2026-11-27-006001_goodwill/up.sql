-- How much of a line's `refunded` was given away beside its returns: that is no part of what was taken back of its price.
ALTER TABLE order_lines ADD COLUMN goodwill INTEGER NOT NULL DEFAULT 0 CHECK (goodwill >= 0 AND goodwill <= refunded);
-- How much of the price of shipping was given away so. With `shipping_credited` it is at most what shipping costs.
ALTER TABLE orders ADD COLUMN shipping_goodwill INTEGER NOT NULL DEFAULT 0 CHECK (shipping_goodwill >= 0);
UPDATE orders SET shipping_goodwill = (SELECT sum(r.shipping) FROM order_refunds AS r WHERE r.order_id = orders.id)
WHERE id IN (SELECT r.order_id FROM order_refunds AS r WHERE r.shipping > 0) AND shipping_credited = 0;

-- Whose turn it is where goods are to come: when a fulfilment order would have been due, had all of it been there. Absent where it is due
-- then. It stays where it is when the goods, and with them what is due, come at another time.
ALTER TABLE fulfilment_orders ADD COLUMN turn_at TEXT;
-- Until when it is kept for its customer, who picks it up.
ALTER TABLE fulfilment_orders ADD COLUMN collect_by TEXT;

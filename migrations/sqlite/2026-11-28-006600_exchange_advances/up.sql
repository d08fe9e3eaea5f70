-- What is sent in exchange before the goods have come back: the cart that is ordered, and where that stands.
ALTER TABLE return_requests ADD COLUMN advance_cart_id BLOB;
ALTER TABLE return_requests ADD COLUMN advance_state TEXT
    CHECK (advance_state IN ('open', 'ordered', 'evened', 'charged', 'dropped'));
CREATE UNIQUE INDEX return_requests_advance ON return_requests (advance_cart_id) WHERE advance_cart_id IS NOT NULL;
CREATE INDEX return_requests_advancing ON return_requests (id) WHERE advance_state = 'open';

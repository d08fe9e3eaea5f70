-- What guests have put into carts is found by their e-mail address when they are erased.
CREATE INDEX CONCURRENTLY IF NOT EXISTS carts_guest_email ON carts (lower(doc->>'email'), id) WHERE customer_id IS NULL AND doc->>'email' IS NOT NULL;

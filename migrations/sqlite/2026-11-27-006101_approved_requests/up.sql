-- Those that are approved and of which nothing has come yet are looked at again and again.
CREATE INDEX approval_requests_approved ON approval_requests (id) WHERE state = 'approved';

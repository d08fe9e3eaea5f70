DROP INDEX return_requests_tracking;

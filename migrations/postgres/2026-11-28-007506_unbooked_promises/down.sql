DROP INDEX payments_unbooked;

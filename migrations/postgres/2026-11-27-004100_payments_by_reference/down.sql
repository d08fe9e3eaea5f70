DROP INDEX payments_provider_ref;

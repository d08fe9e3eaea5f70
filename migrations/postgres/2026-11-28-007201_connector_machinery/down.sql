DROP TABLE connector_pulls;
DROP TABLE connector_mappings;
DROP TABLE connector_links;
DROP TABLE dispatch_attempts;
DROP TABLE connector_breakers;
DROP TABLE job_lanes;

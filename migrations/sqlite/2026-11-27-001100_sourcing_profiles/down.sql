DROP TABLE location_loads;
DROP TABLE sourcing_profiles;

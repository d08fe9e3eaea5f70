DROP TABLE promotion_versions;

-- What the location was told stays: the dock still says it as well.
SELECT 1;

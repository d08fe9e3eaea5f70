-- How many pieces go over a dock on a day the location says; what the dock said is told it, the smaller number of two. The document of
-- the dock keeps what it said until it is set anew.
UPDATE locations SET version = version + 1, doc = json_set(doc, '$.dock_units_per_day', (
    SELECT min(json_extract(h.doc, '$.daily_capacity'), coalesce(json_extract(locations.doc, '$.dock_units_per_day'), 10000000), 10000000)
    FROM dock_hubs AS h WHERE h.location_id = locations.id))
WHERE id IN (SELECT location_id FROM dock_hubs WHERE json_extract(doc, '$.daily_capacity') IS NOT NULL);

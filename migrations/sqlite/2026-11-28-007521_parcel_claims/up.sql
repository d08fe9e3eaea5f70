-- What is claimed of each line of a parcel, and what of it was made good: each piece of each parcel once, however many claim it.
CREATE TABLE parcel_claims (
    shipment_id BLOB NOT NULL REFERENCES shipments (id),
    line_no INTEGER NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity >= 0),
    claimed INTEGER NOT NULL CHECK (claimed >= 0),
    honoured INTEGER NOT NULL CHECK (honoured >= 0 AND claimed + honoured <= quantity),
    PRIMARY KEY (shipment_id, line_no)
) STRICT, WITHOUT ROWID;

-- What was claimed of parcels before.
INSERT INTO parcel_claims (shipment_id, line_no, quantity, claimed, honoured)
SELECT shipment_id, line_no, MAX(MAX(had) + SUM(split), SUM(claimed) + SUM(honoured)), SUM(claimed), SUM(honoured)
FROM (
    SELECT c.shipment_id, json_extract(l.value, '$.line_no') AS line_no,
        (SELECT COALESCE(SUM(json_extract(p.value, '$.quantity')), 0) FROM json_each(s.doc, '$.lines') AS p
            WHERE json_extract(p.value, '$.line_no') = json_extract(l.value, '$.line_no')) AS had,
        CASE WHEN s.corrected_at IS NULL THEN COALESCE(json_extract(l.value, '$.reshipped'), 0) ELSE 0 END AS split,
        CASE c.state WHEN 'open' THEN json_extract(l.value, '$.quantity') - COALESCE(json_extract(l.value, '$.refunded'), 0)
            - COALESCE(json_extract(l.value, '$.reshipped'), 0) - COALESCE(json_extract(l.value, '$.refused'), 0) ELSE 0 END AS claimed,
        CASE c.state WHEN 'open' THEN COALESCE(json_extract(l.value, '$.refunded'), 0) + COALESCE(json_extract(l.value, '$.reshipped'), 0)
            WHEN 'settled' THEN json_extract(l.value, '$.quantity') - COALESCE(json_extract(l.value, '$.refused'), 0)
            ELSE 0 END AS honoured
    FROM order_claims AS c JOIN shipments AS s ON s.id = c.shipment_id, json_each(c.doc, '$.lines') AS l
)
GROUP BY shipment_id, line_no;
INSERT INTO parcel_claims (shipment_id, line_no, quantity, claimed, honoured)
SELECT s.id, json_extract(p.value, '$.line_no'), SUM(json_extract(p.value, '$.quantity')), 0, SUM(json_extract(p.value, '$.quantity'))
FROM shipment_claims AS c JOIN shipments AS s ON s.id = c.shipment_id, json_each(s.doc, '$.lines') AS p
WHERE c.state = 'settled' AND json_extract(c.doc, '$.resolution') IN ('reshipped', 'refunded', 'received')
GROUP BY s.id, json_extract(p.value, '$.line_no')
ON CONFLICT DO NOTHING;

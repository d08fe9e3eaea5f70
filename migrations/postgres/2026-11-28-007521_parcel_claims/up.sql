-- What is claimed of each line of a parcel, and what of it was made good: each piece of each parcel once, however many claim it.
CREATE TABLE parcel_claims (
    shipment_id uuid NOT NULL REFERENCES shipments (id),
    line_no bigint NOT NULL,
    quantity bigint NOT NULL CHECK (quantity >= 0),
    claimed bigint NOT NULL CHECK (claimed >= 0),
    honoured bigint NOT NULL CHECK (honoured >= 0 AND claimed + honoured <= quantity),
    PRIMARY KEY (shipment_id, line_no)
);

-- What was claimed of parcels before.
INSERT INTO parcel_claims (shipment_id, line_no, quantity, claimed, honoured)
SELECT shipment_id, line_no, GREATEST(MAX(had) + SUM(split), SUM(claimed) + SUM(honoured)), SUM(claimed), SUM(honoured)
FROM (
    SELECT c.shipment_id, (l ->> 'line_no')::bigint AS line_no,
        (SELECT COALESCE(SUM((p ->> 'quantity')::bigint), 0)::bigint FROM jsonb_array_elements(s.doc -> 'lines') AS p
            WHERE p ->> 'line_no' = l ->> 'line_no') AS had,
        CASE WHEN s.corrected_at IS NULL THEN COALESCE((l ->> 'reshipped')::bigint, 0) ELSE 0 END AS split,
        CASE c.state WHEN 'open' THEN (l ->> 'quantity')::bigint - COALESCE((l ->> 'refunded')::bigint, 0)
            - COALESCE((l ->> 'reshipped')::bigint, 0) - COALESCE((l ->> 'refused')::bigint, 0) ELSE 0 END AS claimed,
        CASE c.state WHEN 'open' THEN COALESCE((l ->> 'refunded')::bigint, 0) + COALESCE((l ->> 'reshipped')::bigint, 0)
            WHEN 'settled' THEN (l ->> 'quantity')::bigint - COALESCE((l ->> 'refused')::bigint, 0)
            ELSE 0 END AS honoured
    FROM order_claims AS c JOIN shipments AS s ON s.id = c.shipment_id, jsonb_array_elements(c.doc -> 'lines') AS l
) AS known
GROUP BY shipment_id, line_no;
INSERT INTO parcel_claims (shipment_id, line_no, quantity, claimed, honoured)
SELECT s.id, (p ->> 'line_no')::bigint, SUM((p ->> 'quantity')::bigint), 0, SUM((p ->> 'quantity')::bigint)
FROM shipment_claims AS c JOIN shipments AS s ON s.id = c.shipment_id, jsonb_array_elements(s.doc -> 'lines') AS p
WHERE c.state = 'settled' AND c.doc ->> 'resolution' IN ('reshipped', 'refunded', 'received')
GROUP BY s.id, (p ->> 'line_no')::bigint
ON CONFLICT DO NOTHING;

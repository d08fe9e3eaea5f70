//! The rules of goods on their way: at docks, between locations, and from their shelves.

use super::{Rule, by_id};
use crate::kernel::ids;

/// What is matched of inbound goods.
pub(super) const MATCHED: Rule = Rule {
    promise: 2,
    name: "an inbound line holds what is matched of it",
    scan: ("inbound_lines", "inbound_shipment_id"),
    key: by_id::<ids::InboundShipment>(),
    wrong: "WITH span AS (SELECT ? AS low, ? AS high), \
            sides AS (SELECT inbound_shipment_id, line_no, matched, docked, 0 AS planned, 0 AS here \
              FROM inbound_lines, span WHERE inbound_shipment_id BETWEEN low AND high \
              UNION ALL SELECT inbound_shipment_id, inbound_line, 0, 0, CASE WHEN state = 'planned' THEN quantity ELSE 0 END, \
                CASE WHEN state IN ('received', 'done') THEN quantity ELSE 0 END \
              FROM dock_matches, span WHERE inbound_shipment_id BETWEEN low AND high) \
            SELECT inbound_shipment_id, 'line ' || line_no || ': matched ' || sum(matched) || ', planned ' || sum(planned) || \
              '; at the dock ' || sum(docked) || ', matches of it ' || sum(here) FROM sides \
            GROUP BY inbound_shipment_id, line_no HAVING sum(matched) <> sum(planned) OR sum(docked) <> sum(here)",
    judge: Some,
};

/// What is matched for orders.
pub(super) const DEMANDED: Rule = Rule {
    promise: 2,
    name: "a demand holds what is matched for it",
    scan: ("dock_demands", "fulfilment_order_id"),
    key: by_id::<ids::FulfilmentOrder>(),
    wrong: "WITH span AS (SELECT ? AS low, ? AS high), \
            sides AS (SELECT fulfilment_order_id, line_no, matched, 0 AS open \
              FROM dock_demands, span WHERE fulfilment_order_id BETWEEN low AND high \
              UNION ALL SELECT fulfilment_order_id, line_no, 0, quantity \
              FROM dock_matches, span WHERE state IN ('planned', 'received') AND fulfilment_order_id BETWEEN low AND high) \
            SELECT fulfilment_order_id, 'line ' || line_no || ': matched ' || sum(matched) || ', open matches ' || sum(open) \
            FROM sides GROUP BY fulfilment_order_id, line_no HAVING sum(matched) <> sum(open)",
    judge: Some,
};

/// What left and arrived between locations.
pub(super) const TRANSFERRED: Rule = Rule {
    promise: 2,
    name: "transfers are the sums of their movements",
    scan: ("transfer_lines", "variant_id"),
    key: by_id::<ids::Variant>(),
    wrong: "WITH span AS (SELECT ? AS low, ? AS high), \
            sides AS (SELECT l.variant_id, t.from_location_id AS location_id, -l.shipped AS moved, 0 AS booked \
              FROM transfer_lines AS l JOIN transfers AS t ON t.id = l.transfer_id, span WHERE l.variant_id BETWEEN low AND high \
              UNION ALL SELECT l.variant_id, t.to_location_id, l.received + l.surplus, 0 \
              FROM transfer_lines AS l JOIN transfers AS t ON t.id = l.transfer_id, span WHERE l.variant_id BETWEEN low AND high \
              UNION ALL SELECT variant_id, location_id, 0, on_hand FROM stock_movements, span \
              WHERE (kind IN ('transfer_out', 'transfer_in') OR (kind = 'correction' AND substr(reference, 1, 4) = 'trf_')) \
                AND variant_id BETWEEN low AND high) \
            SELECT s.variant_id, 'at ' || coalesce(min(l.code), 'no location') || ': transfers moved ' || sum(s.moved) || \
              ', the ledger says ' || sum(s.booked) \
            FROM sides AS s LEFT JOIN locations AS l ON l.id = s.location_id \
            GROUP BY s.variant_id, s.location_id HAVING sum(s.moved) <> sum(s.booked)",
    judge: Some,
};

/// What was taken from shelves.
pub(super) const PICKED: Rule = Rule {
    promise: 2,
    name: "a pick tells how many and moves no level",
    scan: ("variants", "id"),
    key: by_id::<ids::Variant>(),
    wrong: "SELECT variant_id, 'pick ' || seq || ': on hand ' || on_hand || ', allocated ' || allocated || ', pieces ' || coalesce(pieces, 0) \
            FROM stock_movements WHERE variant_id BETWEEN ? AND ? AND kind = 'pick' \
              AND (on_hand <> 0 OR allocated <> 0 OR coalesce(pieces, 0) = 0)",
    judge: Some,
};

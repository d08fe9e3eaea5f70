//! What must hold of fulfilment orders, however their pieces have been moved about.

use super::{Rule, by_id};
use crate::kernel::ids;

/// Pieces that are moved, split off and merged are the order's pieces: none is lost and none is made.
pub(super) const PIECES: Rule = Rule {
    promise: 2,
    name: "the pieces of an order line are those of its fulfilment orders",
    scan: ("order_lines", "order_id"),
    key: by_id::<ids::Order>(),
    wrong: "SELECT l.order_id, 'line ' || l.line_no || ': ordered ' || l.quantity || ', shipped ' || l.shipped || ', cancelled ' || \
              l.cancelled || '; its fulfilment orders ' || sum(f.quantity - f.moved) || ', ' || sum(f.shipped) || ' and ' || \
              sum(f.cancelled - f.moved) \
            FROM order_lines AS l JOIN fulfilment_orders AS o ON o.order_id = l.order_id \
            JOIN fulfilment_lines AS f ON f.fulfilment_order_id = o.id AND f.line_no = l.line_no \
            WHERE l.order_id BETWEEN ? AND ? GROUP BY l.order_id, l.line_no, l.quantity, l.shipped, l.cancelled \
            HAVING sum(f.quantity - f.moved) <> l.quantity OR sum(f.shipped) <> l.shipped \
            OR sum(f.cancelled - f.moved) <> l.cancelled",
    judge: Some,
};

/// A parcel that has not left after all is in no fulfilment order's count.
pub(super) const PARCELS: Rule = Rule {
    promise: 2,
    name: "what a fulfilment order has shipped is not more than its parcels",
    scan: ("fulfilment_orders", "id"),
    key: by_id::<ids::FulfilmentOrder>(),
    wrong: "SELECT o.id, 'shipped ' || sum(f.shipped) || ', and no parcel of it has left' FROM fulfilment_orders AS o \
            JOIN fulfilment_lines AS f ON f.fulfilment_order_id = o.id WHERE o.id BETWEEN ? AND ? \
            AND NOT EXISTS (SELECT 1 FROM shipments AS s WHERE s.fulfilment_order_id = o.id AND s.corrected_at IS NULL) \
            GROUP BY o.id HAVING sum(f.shipped) > 0",
    judge: Some,
};

/// A piece is taken back, on its way back, or claimed once, and only what has left.
pub(super) const TAKEN_BACK_ONCE: Rule = Rule {
    promise: 2,
    name: "no more of a line comes back, or is claimed, than has left",
    scan: ("order_lines", "order_id"),
    key: by_id::<ids::Order>(),
    wrong: "SELECT order_id, 'line ' || line_no || ': shipped ' || shipped || ', returned ' || returned || ', coming back ' || \
            coming_back || ', claimed ' || claimed FROM order_lines WHERE order_id BETWEEN ? AND ? \
            AND (coming_back < 0 OR claimed < 0 OR returned + coming_back + claimed > shipped)",
    judge: Some,
};

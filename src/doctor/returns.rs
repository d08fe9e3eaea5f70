//! What must hold of goods that come back.

use super::{Rule, by_id};
use crate::kernel::ids;

/// Money of an order in exchange waits for a return only while that can still be settled.
pub(super) const ADVANCED: Rule = Rule {
    promise: 4,
    name: "an exchange in advance waits for a return that is open",
    scan: ("return_requests", "id"),
    key: by_id::<ids::ReturnRequest>(),
    wrong: "SELECT r.id, r.number || ' is ' || r.state || ', and its exchange is ' || r.advance_state FROM return_requests AS r \
            WHERE r.id BETWEEN ? AND ? AND r.advance_state = 'ordered' \
            AND r.state NOT IN ('requested', 'approved', 'in_transit', 'received', 'inspected')",
    judge: Some,
};

/// The cart of an exchange is what it says: ordered where it is.
pub(super) const ORDERED: Rule = Rule {
    promise: 1,
    name: "an exchange in advance that is ordered has its order",
    scan: ("return_requests", "id"),
    key: by_id::<ids::ReturnRequest>(),
    wrong: "SELECT r.id, r.number || ': its exchange is ' || r.advance_state || ', and its cart is no order' FROM return_requests AS r \
            WHERE r.id BETWEEN ? AND ? AND r.advance_state IN ('ordered', 'evened', 'charged') \
            AND NOT EXISTS (SELECT 1 FROM orders AS o WHERE o.cart_id = r.advance_cart_id)",
    judge: Some,
};

/// Money that is to go onto a card or credit waits while a bank has it, and no longer.
pub(super) const AWAITED: Rule = Rule {
    promise: 4,
    name: "what is to go elsewhere once a bank has given it back waits for an open dispute",
    scan: ("awaited_refunds", "id"),
    key: by_id::<ids::AwaitedRefund>(),
    wrong: "SELECT a.id, (a.amount - a.given) || ' ' || a.currency || ' wait, and no dispute of the order is open' \
            FROM awaited_refunds AS a WHERE a.id BETWEEN ? AND ? AND a.given < a.amount \
            AND NOT EXISTS (SELECT 1 FROM disputes AS d WHERE d.order_id = a.order_id AND d.state = 'open')",
    judge: Some,
};

//! What was found of the risk of checkouts.

use super::{Rule, by_id};
use crate::kernel::ids;

/// An order has what was found of its own cart.
pub(super) const LINKED: Rule = Rule {
    promise: 7,
    name: "what was found of an order's risk was found of its cart",
    scan: ("risk_assessments", "id"),
    key: by_id::<ids::RiskAssessment>(),
    wrong: "SELECT a.id, 'is of an order of another cart, or of none' FROM risk_assessments AS a WHERE a.id BETWEEN ? AND ? \
            AND a.order_id IS NOT NULL \
            AND NOT EXISTS (SELECT 1 FROM orders AS o WHERE o.id = a.order_id AND o.cart_id = a.cart_id)",
    judge: Some,
};

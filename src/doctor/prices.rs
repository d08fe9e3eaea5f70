//! What must hold of the prices that rules propose.

use super::{Rule, by_id};
use crate::kernel::ids;

/// The counters of a day are the proposals that were applied on it.
pub(super) const COUNTED: Rule = Rule {
    promise: 3,
    name: "prices are changed by rules as often as is counted",
    scan: ("price_rule_days", "variant_id"),
    key: by_id::<ids::Variant>(),
    wrong: "SELECT d.variant_id, 'on ' || d.day || ' ' || d.changes || ' changes are counted, and ' || count(p.id) || ' proposals applied' \
            FROM price_rule_days AS d LEFT JOIN price_proposals AS p ON p.variant_id = d.variant_id \
            AND p.price_list_id = d.price_list_id AND p.state = 'applied' AND p.day = d.day \
            WHERE d.variant_id BETWEEN ? AND ? GROUP BY d.price_list_id, d.variant_id, d.day, d.changes \
            HAVING d.changes <> count(p.id)",
    judge: Some,
};

/// What was applied is a change of the price.
pub(super) const RECORDED: Rule = Rule {
    promise: 7,
    name: "a proposed price that was applied is in the history",
    scan: ("price_proposals", "id"),
    key: by_id::<ids::PriceProposal>(),
    wrong: "SELECT p.id, 'applied, and no change of the price to ' || p.to_amount || ' is recorded from then on' \
            FROM price_proposals AS p WHERE p.id BETWEEN ? AND ? AND p.state = 'applied' \
            AND NOT EXISTS (SELECT 1 FROM price_changes AS c WHERE c.variant_id = p.variant_id \
              AND c.price_list_id = p.price_list_id AND c.to_amount = p.to_amount AND c.changed_at >= p.decided_at)",
    judge: Some,
};

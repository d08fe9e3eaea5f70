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

/// What is declared is what is booked. What an older process has booked is declared by a schedule, and left out until then.
pub(super) const DECLARED: Rule = Rule {
    promise: 4,
    name: "the sums of tax are what the ledger books as tax",
    scan: ("ledger_entries", "order_id"),
    key: by_id::<ids::Order>(),
    wrong: "SELECT order_id, 'of revenue the tax is told as ' || sum(CASE WHEN account = 'revenue' THEN coalesce(tax, 0) ELSE 0 END) || \
              ', and booked as ' || -sum(CASE WHEN account = 'tax' THEN amount ELSE 0 END) || ' ' || currency \
            FROM ledger_entries WHERE order_id BETWEEN ? AND ? GROUP BY order_id, currency \
            HAVING sum(CASE WHEN account = 'revenue' THEN coalesce(tax, 0) ELSE 0 END) \
              <> -sum(CASE WHEN account = 'tax' THEN amount ELSE 0 END) \
              AND sum(CASE WHEN account = 'revenue' AND channel_id IS NULL THEN 1 ELSE 0 END) = 0",
    judge: Some,
};

/// What everybody got is known for each time, once.
pub(super) const RUNS: Rule = Rule {
    promise: 7,
    name: "a promotion that is not active goes on for nobody, and its runs follow each other",
    scan: ("promotions", "id"),
    key: by_id::<ids::Promotion>(),
    wrong: "SELECT p.id, CASE WHEN r.ended_at IS NULL THEN 'it is ' || p.state || ', and its run ' || r.run_no || ' goes on' \
              ELSE 'its run ' || r.run_no || ' ends after the next has begun' END \
            FROM promotions AS p JOIN promotion_runs AS r ON r.promotion_id = p.id WHERE p.id BETWEEN ? AND ? \
            AND ((r.ended_at IS NULL AND p.state <> 'active') OR EXISTS (SELECT 1 FROM promotion_runs AS n \
              WHERE n.promotion_id = r.promotion_id AND n.run_no = r.run_no + 1 AND (r.ended_at IS NULL OR r.ended_at > n.began_at)))",
    judge: Some,
};

/// Whoever asks what a promotion said then is told of each version, and the newest is the promotion as it is. What an older process has
/// changed is kept by a schedule, without who it was, and told here until then.
pub(super) const VERSIONS: Rule = Rule {
    promise: 7,
    name: "the newest version that is kept of a promotion is the promotion, and none before it is missing",
    scan: ("promotions", "id"),
    key: by_id::<ids::Promotion>(),
    wrong: "SELECT p.id, CASE WHEN v.version IS NULL THEN 'its version ' || p.version || ' is not kept' \
              ELSE 'what is kept of its version ' || p.version || ' is something else, or a version before or after it is wrong' END \
            FROM promotions AS p LEFT JOIN promotion_versions AS v ON v.promotion_id = p.id AND v.version = p.version \
            WHERE p.id BETWEEN ? AND ? AND (v.version IS NULL OR v.code <> p.code OR v.name <> p.name OR v.state <> p.state \
              OR v.priority <> p.priority OR v.doc <> p.doc OR v.changed_at <> p.updated_at \
              OR v.channel_id IS DISTINCT FROM p.channel_id OR v.valid_from IS DISTINCT FROM p.valid_from \
              OR v.valid_until IS DISTINCT FROM p.valid_until \
              OR EXISTS (SELECT 1 FROM promotion_versions AS n WHERE n.promotion_id = p.id AND (n.version > p.version \
                OR n.version > 1 AND n.changed_by IS NOT NULL AND NOT EXISTS (SELECT 1 FROM promotion_versions AS b \
                  WHERE b.promotion_id = n.promotion_id AND b.version = n.version - 1))))",
    judge: Some,
};

//! What must hold of orders that were changed, and of what is done to many of them.

use super::{Rule, by_id};
use crate::kernel::ids;

/// What was placed and what was amended since is what an order's total says, and what its ledger has booked as owed.
pub(super) const BOOKED: Rule = Rule {
    promise: 4,
    name: "what was sold and amended of an order is its total",
    scan: ("amendments", "order_id"),
    key: by_id::<ids::Order>(),
    wrong: "WITH amended AS (SELECT DISTINCT order_id FROM amendments WHERE order_id BETWEEN ? AND ? AND state = 'confirmed'), \
            booked AS (SELECT amended.order_id, coalesce(sum(e.amount), 0) AS owed FROM amended \
              LEFT JOIN ledger_entries AS e ON e.order_id = amended.order_id AND e.account = 'receivable' \
                AND (e.posting = 'placed' OR e.posting LIKE 'amend:%') GROUP BY amended.order_id) \
            SELECT o.id, 'total ' || o.total || ' ' || o.currency || ', booked ' || owed \
            FROM booked JOIN orders AS o ON o.id = booked.order_id WHERE o.total <> owed",
    judge: Some,
};

/// Work on many orders ends when each was taken.
pub(super) const TAKEN: Rule = Rule {
    promise: 5,
    name: "work on many orders that is done has taken each of them",
    scan: ("bulk_jobs", "id"),
    key: by_id::<ids::BulkJob>(),
    wrong: "SELECT b.id, count(*) || ' of its orders wait' FROM bulk_jobs AS b JOIN bulk_items AS i ON i.bulk_id = b.id \
            WHERE b.id BETWEEN ? AND ? AND b.state = 'done' AND i.state = 'waiting' GROUP BY b.id",
    judge: Some,
};

/// What a second person has approved is given back once, and what says that one has approved it was approved.
pub(super) const SECOND: Rule = Rule {
    promise: 4,
    name: "a refund that a second person has approved was made once",
    scan: ("countersign_requests", "id"),
    key: by_id::<ids::CountersignRequest>(),
    wrong: "SELECT c.id, c.state || ', ' || CASE WHEN r.id IS NULL THEN 'and not made' ELSE 'and made' END FROM countersign_requests AS c \
            LEFT JOIN order_refunds AS r ON r.id = c.id WHERE c.id BETWEEN ? AND ? AND c.kind = 'refund' \
            AND (c.state = 'done') <> (r.id IS NOT NULL)",
    judge: Some,
};

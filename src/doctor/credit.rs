//! What must hold of what companies owe on account.

use super::{Rule, by_id};
use crate::kernel::ids;

/// What a company owes is what its orders owe, and the sum of its ledger.
pub(super) const USED: Rule = Rule {
    promise: 4,
    name: "what a company owes on account is what its orders owe",
    scan: ("company_credits", "company_id"),
    key: by_id::<ids::Company>(),
    wrong: "WITH own AS (SELECT c.company_id, c.currency, c.used, \
                (SELECT coalesce(sum(d.open), 0) FROM company_debts AS d \
                  WHERE d.company_id = c.company_id AND d.currency = c.currency) AS owed, \
                (SELECT coalesce(sum(e.amount), 0) FROM company_credit_entries AS e \
                  WHERE e.company_id = c.company_id AND e.currency = c.currency) AS booked \
              FROM company_credits AS c WHERE c.company_id BETWEEN ? AND ?) \
            SELECT company_id, currency || ': used ' || used || ', orders owe ' || owed || ', its entries ' || booked FROM own \
            WHERE used <> owed OR used <> booked",
    judge: Some,
};

/// What is open of an order on account is what its payment promises still, as far as the customer owes it beside what
/// others promise. Of several on account the one that was opened first owes first.
pub(super) const OPEN: Rule = Rule {
    promise: 4,
    name: "what an order owes on account is open in its ledger",
    scan: ("payments", "id"),
    key: by_id::<ids::Payment>(),
    wrong: "WITH own AS (SELECT p.id, p.order_id, p.created_at, coalesce(d.open, -1) AS open, CASE WHEN p.state = 'authorised' \
                THEN p.amount - p.captured - p.capture_pending - p.voided - p.void_pending ELSE 0 END AS promised \
              FROM payments AS p LEFT JOIN company_debts AS d ON d.payment_id = p.id \
              WHERE p.id BETWEEN ? AND ? AND p.provider = 'on_account' AND p.order_id IS NOT NULL), \
            sides AS (SELECT own.id, own.open, own.promised, \
                (SELECT coalesce(sum(l.amount), 0) FROM ledger_entries AS l \
                  WHERE l.order_id = own.order_id AND l.account = 'receivable') \
                + (SELECT coalesce(sum(o.refund_pending - o.capture_pending - CASE WHEN o.provider <> 'on_account' AND o.state = 'authorised' \
                    THEN o.amount - o.captured - o.capture_pending - o.voided - o.void_pending ELSE 0 END), 0) \
                  FROM payments AS o WHERE o.order_id = own.order_id) \
                - (SELECT coalesce(sum(d.open), 0) FROM payments AS o JOIN company_debts AS d ON d.payment_id = o.id \
                  WHERE o.order_id = own.order_id AND o.provider = 'on_account' \
                    AND (o.created_at, o.id) < (own.created_at, own.id)) AS owed FROM own) \
            SELECT id, 'open ' || open || ', promised ' || promised || ', owed ' || owed FROM sides \
            WHERE open <> CASE WHEN owed <= 0 THEN 0 WHEN owed < promised THEN owed ELSE promised END",
    judge: Some,
};

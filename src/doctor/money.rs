//! What must hold of money that is disputed, kept, and given back otherwise than it came.

use super::{Rule, by_id};
use crate::kernel::{Instant, ids};

/// What a payment counts as disputed is what its disputes are about: those that are not won.
pub(super) const DISPUTED: Rule = Rule {
    promise: 4,
    name: "what is disputed of a payment is what its disputes are about",
    scan: ("payments", "id"),
    key: by_id::<ids::Payment>(),
    wrong: "WITH own AS (SELECT p.id, p.disputed, (SELECT coalesce(sum(d.amount - d.excess), 0) FROM disputes AS d \
              WHERE d.payment_id = p.id AND d.state <> 'won') AS about FROM payments AS p WHERE p.id BETWEEN ? AND ?) \
            SELECT id, 'disputed ' || disputed || ', its disputes are about ' || about FROM own WHERE disputed <> about",
    judge: Some,
};

/// The ledger of an order has what its disputes are about: what is open, and what banks and providers have taken and kept.
pub(super) const TAKEN_BACK: Rule = Rule {
    promise: 4,
    name: "the ledger books what is disputed, and what was taken for that",
    scan: ("orders", "id"),
    key: by_id::<ids::Order>(),
    wrong: "WITH span AS (SELECT ? AS low, ? AS high), \
            sides AS (SELECT order_id, CASE account WHEN 'disputed' THEN amount ELSE 0 END AS disputed, \
                CASE account WHEN 'chargeback' THEN -amount ELSE 0 END AS taken, 0 AS open, 0 AS gone \
              FROM ledger_entries, span WHERE order_id BETWEEN low AND high AND account IN ('disputed', 'chargeback') \
              UNION ALL SELECT order_id, 0, 0, CASE state WHEN 'open' THEN amount - excess ELSE 0 END, \
                CASE state WHEN 'won' THEN fee ELSE amount - excess + fee END \
              FROM disputes, span WHERE order_id BETWEEN low AND high \
              UNION ALL SELECT f.order_id, 0, 0, 0, f.amount FROM payment_fees AS f, span \
                WHERE f.order_id BETWEEN low AND high AND EXISTS (SELECT 1 FROM payments AS p \
                  WHERE p.id = f.payment_id AND p.currency = f.currency)) \
            SELECT order_id, 'the ledger has disputed ' || sum(disputed) || ' and taken ' || sum(taken) || ', its disputes and fees ' || \
              sum(open) || ' and ' || sum(gone) FROM sides GROUP BY order_id \
            HAVING sum(disputed) <> sum(open) OR sum(taken) <> sum(gone)",
    judge: Some,
};

/// Nothing is given back that is disputed.
pub(super) const FREE: Rule = Rule {
    promise: 4,
    name: "what is given back and what is disputed is at most what was captured",
    scan: ("payments", "id"),
    key: by_id::<ids::Payment>(),
    wrong: "SELECT id, 'captured ' || captured || ', refunded ' || refunded || ' and ' || refund_pending || ' on its way, disputed ' || \
              disputed FROM payments WHERE id BETWEEN ? AND ? AND (disputed < 0 OR refunded + refund_pending + disputed > captured)",
    judge: Some,
};

/// What of a payment went over to orders that were split off, and what is left of it, is what was captured of all of them.
pub(super) const SHARED: Rule = Rule {
    promise: 4,
    name: "a payment and its shares have what was captured of them, once",
    scan: ("payments", "id"),
    key: by_id::<ids::Payment>(),
    wrong: "WITH own AS (SELECT p.id FROM payments AS p WHERE p.id BETWEEN ? AND ? \
              AND EXISTS (SELECT 1 FROM payments AS s WHERE s.root_id = p.id)), \
            sides AS (SELECT own.id, (SELECT CAST(sum(f.captured) AS bigint) FROM payments AS f \
                WHERE f.id = own.id OR f.root_id = own.id) AS captured, \
              (SELECT CAST(coalesce(sum(o.amount), 0) AS bigint) FROM payment_operations AS o JOIN payments AS f ON f.id = o.payment_id \
                WHERE (f.id = own.id OR f.root_id = own.id) AND o.kind = 'capture' AND o.state = 'done') AS taken FROM own) \
            SELECT id, 'it and its shares have captured ' || captured || ', and taken were ' || taken FROM sides WHERE captured <> taken",
    judge: Some,
};

/// The ledger has what its payments say is booked of what providers promise.
pub(super) const PROMISED: Rule = Rule {
    promise: 4,
    name: "the ledger has what is booked of providers' promises",
    scan: ("orders", "id"),
    key: by_id::<ids::Order>(),
    wrong: "WITH span AS (SELECT ? AS low, ? AS high), \
            sides AS (SELECT order_id, amount AS promised, 0 AS booked FROM ledger_entries, span \
                WHERE order_id BETWEEN low AND high AND account = 'authorised' \
              UNION ALL SELECT order_id, 0, promise_booked FROM payments, span WHERE order_id BETWEEN low AND high) \
            SELECT order_id, 'the ledger has ' || sum(promised) || ', its payments ' || sum(booked) FROM sides GROUP BY order_id \
            HAVING sum(promised) <> sum(booked)",
    judge: Some,
};

/// No more is released of what is kept than there was.
pub(super) const KEPT: Rule = Rule {
    promise: 4,
    name: "what was paid too much and is kept is never less than nothing",
    scan: ("ledger_entries", "order_id"),
    key: by_id::<ids::Order>(),
    wrong: "SELECT order_id, 'kept are ' || -sum(amount) || ' ' || currency FROM ledger_entries \
            WHERE order_id BETWEEN ? AND ? AND account = 'unapplied' GROUP BY order_id, currency HAVING sum(amount) > 0",
    judge: Some,
};

/// What went onto a gift card or store credit is there: the ledger of the order and that of the value have it both.
pub(super) const ELSEWHERE: Rule = Rule {
    promise: 4,
    name: "what went onto gift cards and store credit has arrived there",
    scan: ("payments", "id"),
    key: by_id::<ids::Payment>(),
    wrong: "SELECT p.id, 'operation of ' || o.amount || ' onto ' || o.target || ', and its entry has ' || \
              coalesce(CAST(e.amount AS TEXT), 'nothing') FROM payments AS p JOIN payment_operations AS o ON o.payment_id = p.id \
              LEFT JOIN stored_value_entries AS e ON e.our_key = 'refund:' || o.our_key AND e.stored_value_id = o.stored_value_id \
            WHERE p.id BETWEEN ? AND ? AND o.target IS NOT NULL AND (e.amount IS NULL OR e.amount <> o.amount)",
    judge: Some,
};

/// Postings get their places in the order in which they were recorded, so none is without one long after a later one has its own.
pub(super) const NUMBERED: Rule = Rule {
    promise: 4,
    name: "every posting is in the journal ten minutes after it was recorded",
    scan: ("ledger_entries", "order_id"),
    key: by_id::<ids::Order>(),
    wrong: "SELECT e.order_id, CAST(e.recorded_at AS text) || '|' || coalesce(CAST((SELECT last.recorded_at FROM ledger_entries AS last \
              WHERE last.journal_position > 0 ORDER BY last.recorded_at DESC LIMIT 1) AS text), '') || '|' || e.posting \
            FROM ledger_entries AS e WHERE e.order_id BETWEEN ? AND ? AND e.journal_position IS NULL",
    judge: forgotten,
};

/// `recorded|last numbered|posting`: databases subtract instants each in their own way.
fn forgotten(found: String) -> Option<String> {
    let mut parts = found.splitn(3, '|');
    let (recorded, last) = (instant(parts.next()?)?, instant(parts.next()?)?);
    let late = last.micros().saturating_sub(recorded.micros()) > 600 * 1_000_000;
    late.then(|| format!("{} of {recorded} has no place in the journal", parts.next().unwrap_or_default()))
}

/// An instant as either database writes it.
fn instant(text: &str) -> Option<Instant> {
    let text = text.replacen(' ', "T", 1);
    let text = text.strip_suffix("+00").map_or_else(|| text.clone(), |bare| format!("{bare}Z"));
    text.parse().ok()
}

/// What somebody was asked to pay by a link and is being paid, or paid, is so by a payment of that amount, or of what is left of it once the order was split: open as long as it is being paid, of
/// the order once it is.
pub(super) const ASKED: Rule = Rule {
    promise: 4,
    name: "a payment request is paid by one payment of its order",
    scan: ("payment_requests", "id"),
    key: by_id::<ids::PaymentRequest>(),
    wrong: "SELECT r.id, r.state || ' by a payment that is ' || coalesce(p.state, 'not there') FROM payment_requests AS r \
            LEFT JOIN payments AS p ON p.id = r.payment_id WHERE r.id BETWEEN ? AND ? AND r.state IN ('paying', 'paid') AND NOT coalesce( \
              p.currency = r.currency AND CASE r.state WHEN 'paying' THEN p.amount = r.amount AND p.state IN ('pending', 'action_required') \
              ELSE p.order_id = r.order_id AND p.amount <= r.amount AND p.state IN ('authorised', 'captured', 'voided') END, 1 = 0)",
    judge: Some,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_posting_is_forgotten_when_one_of_ten_minutes_later_has_its_place() {
        let wrong = |recorded: &str, last: &str| forgotten(format!("{recorded}|{last}|placed"));
        assert!(wrong("2026-11-27T10:00:00.000000Z", "2026-11-27T10:10:01.000000Z").is_some());
        assert!(wrong("2026-11-27 10:00:00+00", "2026-11-27 10:10:00.5+00").is_some());
        assert!(wrong("2026-11-27 10:00:00+00", "2026-11-27 10:09:00+00").is_none());
        assert!(wrong("2026-11-27T10:00:00.000000Z", "2026-11-27T09:00:00.000000Z").is_none());
    }
}

//! Payments, and what was to be done with their money, that wait for a person. Part of the store.

use diesel::sql_types::{BigInt, Nullable, Text};

use super::{
    model::{OperationKind, Payment, Trouble},
    store::{PAYMENT, load},
};
use crate::{
    db::{InstantSql, Tx, UidSql, sql},
    error::Result,
    kernel::{
        Currency, Instant, Money, Waiting,
        ids::{CartId, OrderId, PaymentOperationId},
    },
};

/// Money that was promised or taken and has no order, the oldest first, each with the cart it was for.
///
/// # Errors
/// What the database says.
pub fn without_order(tx: &mut Tx, limit: i64) -> Result<Vec<(CartId, Waiting)>> {
    let query = format!(
        "SELECT {PAYMENT} FROM payments WHERE order_id IS NULL AND state IN ('authorised', 'captured') \
         ORDER BY created_at, id LIMIT ?"
    );
    let waiting = |payment: Payment| {
        let subject = format!("{} by {} is {} without an order", payment.amount, payment.provider, payment.state);
        let link = format!("/v1/ops/payments/{}", payment.id);
        (payment.cart_id, Waiting { id: payment.id.to_string(), since: payment.created_at, subject, link })
    };
    Ok(load(tx, sql(query).bind(limit))?.into_iter().map(waiting).collect())
}

/// Attempts to pay of which it could not be found out for a while what became of them, the oldest first.
fn troubled(tx: &mut Tx, limit: i64) -> Result<Vec<(CartId, Waiting)>> {
    let query = format!(
        "SELECT {PAYMENT} FROM payments WHERE state IN ('pending', 'action_required') \
         AND CAST(doc->'trouble'->>'tries' AS BIGINT) >= ? ORDER BY created_at, id LIMIT ?"
    );
    let waiting = |payment: Payment| {
        let trouble = payment.details.trouble.as_ref()?;
        let subject = format!("{} by {} is {}: {}", payment.amount, payment.provider, payment.state, trouble.error);
        let of_cart = || format!("/v1/ops/carts/{}", payment.cart_id);
        let link = payment.request().map_or_else(of_cart, |(request, _)| format!("/v1/ops/payment-requests/{request}"));
        Some((payment.cart_id, Waiting { id: payment.id.to_string(), since: trouble.since, subject, link }))
    };
    Ok(load(tx, sql(query).bind(Trouble::SHOWN).bind(limit))?.into_iter().filter_map(waiting).collect())
}

/// What of `payment_operations AS failed JOIN payments` a person has to look at: it failed, nothing of its kind was tried
/// since, and what it was for is still to be done.
const UNRESOLVED: &str = "failed.state = 'failed' AND NOT EXISTS (SELECT 1 FROM payment_operations AS later \
       WHERE later.payment_id = failed.payment_id AND later.kind = failed.kind \
       AND (later.created_at, later.id) > (failed.created_at, failed.id)) \
     AND (failed.kind = 'void' AND payments.state = 'authorised' OR failed.kind <> 'void' AND (payments.order_id IS NULL \
       OR (SELECT sum(CASE failed.kind WHEN 'capture' THEN entry.amount ELSE -entry.amount END) FROM ledger_entries AS entry \
         WHERE entry.order_id = payments.order_id AND entry.account = 'receivable') > 0))";

type FailedColumns = (UidSql, UidSql, Nullable<UidSql>, Text, BigInt, Text, Nullable<Text>, InstantSql);
#[rustfmt::skip]
type FailedRow = (PaymentOperationId, CartId, Option<OrderId>, OperationKind, i64, Currency, Option<String>, Instant);
const FAILED: &str = "SELECT failed.id, cart_id, order_id, failed.kind, failed.amount, currency, failed.error, failed.updated_at \
     FROM payment_operations AS failed JOIN payments ON payments.id = payment_id";

fn failed(row: FailedRow) -> (CartId, Waiting) {
    let (id, cart, order, kind, amount, currency, error, since) = row;
    let amount = Money::from_minor(amount, currency);
    let subject = format!("the {kind} of {amount} failed: {}", error.unwrap_or_default());
    let cart_link = || format!("/v1/ops/carts/{cart}");
    let link = order.map_or_else(cart_link, |order| format!("/v1/ops/orders/{order}/payments"));
    (cart, Waiting { id: id.to_string(), since, subject, link })
}

/// The captures, voids and refunds of an order that failed and that a person has to look at, the oldest first.
///
/// # Errors
/// What the database says.
pub fn failures_of(tx: &mut Tx, order: OrderId) -> Result<Vec<Waiting>> {
    let query = sql(format!("{FAILED} WHERE order_id = ? AND {UNRESOLVED} ORDER BY failed.updated_at, failed.id"));
    let rows = query.bind(order).load::<FailedColumns, FailedRow>(tx)?;
    Ok(rows.into_iter().map(|row| failed(row).1).collect())
}

/// Refunds that somebody has to pay out by hand, the oldest first, each with the cart it was for.
///
/// # Errors
/// What the database says.
pub fn to_pay_out(tx: &mut Tx, limit: i64) -> Result<Vec<(CartId, Waiting)>> {
    type Columns = (UidSql, UidSql, Nullable<UidSql>, BigInt, Text, Nullable<Text>, InstantSql);
    type Row = (PaymentOperationId, CartId, Option<OrderId>, i64, Currency, Option<String>, Instant);
    let query = "SELECT waiting.id, cart_id, order_id, waiting.amount, currency, reason, waiting.created_at \
                 FROM payment_operations AS waiting JOIN payments ON payments.id = payment_id \
                 WHERE waiting.state = 'pending' AND waiting.kind = 'refund' AND provider IN (?, ?) \
                 ORDER BY waiting.created_at, waiting.id LIMIT ?";
    let waiting = |(id, cart, order, amount, currency, reason, since): Row| {
        let amount = Money::from_minor(amount, currency);
        let subject = format!("{amount} are to be paid out: {}", reason.unwrap_or_default());
        let link = order.map_or_else(String::new, |order| format!("/v1/ops/orders/{order}/payments"));
        (cart, Waiting { id: id.to_string(), since, subject, link })
    };
    let rows = sql(query).bind(super::MANUAL).bind(crate::credit::ON_ACCOUNT).bind(limit).load::<Columns, Row>(tx)?;
    Ok(rows.into_iter().map(waiting).collect())
}

/// Orders of which more was paid than was owed, where that is kept, the oldest first, each with a cart that was paid for it.
///
/// # Errors
/// What the database says.
pub fn overpaid(tx: &mut Tx, limit: i64) -> Result<Vec<(CartId, Waiting)>> {
    type Types = (UidSql, UidSql, BigInt, Text, InstantSql);
    type Row = (OrderId, CartId, i64, Currency, Instant);
    let query = "SELECT order_id, (SELECT p.cart_id FROM payments AS p WHERE p.order_id = kept.order_id ORDER BY p.id LIMIT 1), \
                   amount, currency, since FROM ( \
                   SELECT order_id, currency, CAST(-sum(amount) AS bigint) AS amount, min(occurred_at) AS since \
                   FROM ledger_entries WHERE account = 'unapplied' GROUP BY order_id, currency HAVING sum(amount) < 0) AS kept \
                 ORDER BY since, order_id LIMIT ?";
    let waiting = |(order, cart, amount, currency, since): Row| {
        let subject = format!("{} were paid too much and are kept", Money::from_minor(amount, currency));
        let link = format!("/v1/ops/orders/{order}/payments");
        (cart, Waiting { id: order.to_string(), since, subject, link })
    };
    Ok(sql(query).bind(limit).load::<Types, Row>(tx)?.into_iter().map(waiting).collect())
}

/// Attempts to pay that have no answer, payments that failed for a reason that a person has to look at and nobody has resolved,
/// and captures, voids and refunds that failed and are still to be done; the oldest first of each, with the cart they were for.
///
/// # Errors
/// What the database says.
pub fn failures(tx: &mut Tx, limit: i64) -> Result<Vec<(CartId, Waiting)>> {
    let query = format!(
        "SELECT {PAYMENT} FROM payments WHERE state = 'failed' AND doc->>'resolved' IS NULL \
         ORDER BY updated_at, id LIMIT ?"
    );
    let payment = |payment: Payment| {
        let reason = payment.details.decline.map(|decline| decline.code).unwrap_or_default();
        let subject = format!("{} by {} failed: {reason}", payment.amount, payment.provider);
        let link = format!("/v1/ops/payments/{}", payment.id);
        (payment.cart_id, Waiting { id: payment.id.to_string(), since: payment.updated_at, subject, link })
    };
    let mut failures = troubled(tx, limit)?;
    failures.extend(super::renewals::refused(tx, limit)?);
    failures.extend(load(tx, sql(query).bind(limit))?.into_iter().map(payment));
    let query = format!("{FAILED} WHERE {UNRESOLVED} ORDER BY failed.updated_at, failed.id LIMIT ?");
    failures.extend(sql(query).bind(limit).load::<FailedColumns, FailedRow>(tx)?.into_iter().map(failed));
    Ok(failures)
}

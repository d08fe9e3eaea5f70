//! The only file that touches `order_refunds` and `awaited_refunds`.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde::{Deserialize, Serialize};

use super::refunds::{RefundKind, RefundView, RefundedLine};
use crate::{
    db::{Doc, DocSql, InstantSql, Json, Tx, UidSql, sql},
    error::Result,
    kernel::{
        Currency, Instant, Money,
        ids::{AwaitedRefundId, OrderId, RefundId, ReturnId, StoredValueId},
    },
    payments::Target,
};

/// What is kept beside the columns.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Details {
    lines: Vec<RefundedLine>,
    reason: String,
    by: String,
    /// Absent where it is goodwill.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<RefundKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by: Option<String>,
}

pub(super) fn insert_refund(tx: &mut Tx, order: OrderId, made: &RefundView) -> Result<()> {
    let (lines, reason, by) = (made.lines.clone(), made.reason.clone(), made.by.clone());
    let kind = Some(made.kind).filter(|kind| *kind != RefundKind::Goodwill);
    let details = Details { lines, reason, by, kind, approved_by: made.approved_by.clone() };
    sql("INSERT INTO order_refunds (id, order_id, target, currency, amount, shipping, doc, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(made.id)
    .bind(order)
    .bind(made.to.as_str())
    .bind(made.amount.currency())
    .bind(made.amount.minor())
    .bind(made.shipping.minor())
    .bind(Json::of(&details)?)
    .bind(made.created_at)
    .execute(tx)?;
    Ok(())
}

/// What staff have given back of an order, the oldest first.
pub(super) fn refunds(tx: &mut Tx, order: OrderId) -> Result<Vec<RefundView>> {
    type Types = (UidSql, Text, Text, BigInt, BigInt, DocSql, InstantSql);
    type Row = (RefundId, Target, Currency, i64, i64, Doc<Details>, Instant);
    let query = "SELECT id, target, currency, amount, shipping, doc, created_at FROM order_refunds WHERE order_id = ? ORDER BY id";
    let view = |(id, to, currency, amount, shipping, Doc(details), created_at): Row| RefundView {
        id,
        kind: details.kind.unwrap_or(RefundKind::Goodwill),
        to,
        amount: Money::from_minor(amount, currency),
        shipping: Money::from_minor(shipping, currency),
        lines: details.lines,
        reason: details.reason,
        by: details.by,
        approved_by: details.approved_by,
        created_at,
    };
    Ok(sql(query).bind(order).load::<Types, Row>(tx)?.into_iter().map(view).collect())
}

/// Money that is to go onto a gift card or store credit once a bank has given it back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Awaited {
    pub id: AwaitedRefundId,
    pub target: Target,
    pub onto: StoredValueId,
    /// The return that it is of.
    pub return_id: Option<ReturnId>,
    /// How much is still to go there.
    pub left: Money,
}

pub(super) fn insert_awaited(tx: &mut Tx, now: Instant, order: OrderId, new: &Awaited) -> Result<()> {
    sql("INSERT INTO awaited_refunds (id, order_id, return_id, target, stored_value_id, currency, amount, given, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)")
    .bind(new.id)
    .bind(order)
    .bind(new.return_id)
    .bind(new.target.as_str())
    .bind(new.onto)
    .bind(new.left.currency())
    .bind(new.left.minor())
    .bind(now)
    .execute(tx)?;
    Ok(())
}

/// What waits of an order, the oldest first.
pub(super) fn awaited(tx: &mut Tx, order: OrderId) -> Result<Vec<Awaited>> {
    type Types = (UidSql, Text, UidSql, Nullable<UidSql>, Text, BigInt);
    type Row = (AwaitedRefundId, Target, StoredValueId, Option<ReturnId>, Currency, i64);
    let query = "SELECT id, target, stored_value_id, return_id, currency, amount - given FROM awaited_refunds \
                 WHERE order_id = ? AND given < amount ORDER BY id";
    let one = |(id, target, onto, return_id, currency, left): Row| Awaited {
        id,
        target,
        onto,
        return_id,
        left: Money::from_minor(left, currency),
    };
    Ok(sql(query).bind(order).load::<Types, Row>(tx)?.into_iter().map(one).collect())
}

/// How much waits of an order, in minor units.
pub(super) fn awaited_sum(tx: &mut Tx, order: OrderId) -> Result<i64> {
    Ok(awaited(tx, order)?.iter().map(|one| one.left.minor()).sum())
}

/// Notes of which return of an order it is what was noted at an instant and is of none.
pub(super) fn awaited_of_return(tx: &mut Tx, now: Instant, (order, id): (OrderId, ReturnId)) -> Result<()> {
    let update = "UPDATE awaited_refunds SET return_id = ? WHERE order_id = ? AND return_id IS NULL AND created_at = ?";
    sql(update).bind(id).bind(order).bind(now).execute(tx).map(|_| ())
}

/// Counts what was given of it. False where that is more than waits.
pub(super) fn awaited_given(tx: &mut Tx, id: AwaitedRefundId, given: i64) -> Result<bool> {
    let update = "UPDATE awaited_refunds SET given = given + ? WHERE id = ? AND given + ? <= amount";
    Ok(sql(update).bind(given).bind(id).bind(given).execute(tx)? == 1)
}

/// It waits no more: what is left of it goes back the way it came.
pub(super) fn drop_awaited(tx: &mut Tx, id: AwaitedRefundId) -> Result<()> {
    sql("UPDATE awaited_refunds SET amount = given WHERE id = ? AND given < amount").bind(id).execute(tx).map(|_| ())
}

/// Nothing waits of an order any more: the bank has given it back itself.
pub(super) fn end_awaited(tx: &mut Tx, order: OrderId) -> Result<()> {
    let update = "UPDATE awaited_refunds SET amount = given WHERE order_id = ? AND given < amount";
    sql(update).bind(order).execute(tx).map(|_| ())
}

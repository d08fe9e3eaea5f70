//! The only file that touches `order_refunds`.

use diesel::sql_types::{BigInt, Text};
use serde::{Deserialize, Serialize};

use super::refunds::{RefundView, RefundedLine};
use crate::{
    db::{Doc, DocSql, InstantSql, Json, Tx, UidSql, sql},
    error::Result,
    kernel::{
        Currency, Instant, Money,
        ids::{OrderId, RefundId},
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
}

pub(super) fn insert_refund(tx: &mut Tx, order: OrderId, made: &RefundView) -> Result<()> {
    let details = Details { lines: made.lines.clone(), reason: made.reason.clone(), by: made.by.clone() };
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
        to,
        amount: Money::from_minor(amount, currency),
        shipping: Money::from_minor(shipping, currency),
        lines: details.lines,
        reason: details.reason,
        by: details.by,
        created_at,
    };
    Ok(sql(query).bind(order).load::<Types, Row>(tx)?.into_iter().map(view).collect())
}

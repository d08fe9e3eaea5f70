//! The only file that touches `amendments`.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::model::{Amendment, AmendmentState, Kept};
use crate::{
    db::{Col, Doc, DocSql, InstantSql, Json, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{AmendmentId, OrderId},
    },
};

const COLUMNS: &str =
    "id, order_id, state, order_version, version, opened_by, created_at, expires_at, ended_at, doc FROM amendments";
type Types = (UidSql, UidSql, Text, BigInt, BigInt, Text, InstantSql, InstantSql, Nullable<InstantSql>, DocSql);
type Row = (AmendmentId, OrderId, AmendmentState, i64, i64, String, Instant, Instant, Option<Instant>, Doc<Kept>);

fn amendment(row: Row) -> Amendment {
    let (id, order_id, state, order_version, version, opened_by, created_at, expires_at, ended_at, Doc(kept)) = row;
    Amendment { id, order_id, state, order_version, version, opened_by, created_at, expires_at, ended_at, kept }
}

/// Writes a new one. A UNIQUE violation where the order has an open one.
pub(super) fn insert(tx: &mut Tx, one: &Amendment) -> Result<()> {
    sql("INSERT INTO amendments (id, order_id, state, order_version, version, opened_by, created_at, expires_at, ended_at, doc) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)")
    .bind(one.id)
    .bind(one.order_id)
    .bind(one.state.as_str())
    .bind(one.order_version)
    .bind(one.version)
    .bind(one.opened_by.as_str())
    .bind(one.created_at)
    .bind(one.expires_at)
    .bind(Json::of(&one.kept)?)
    .execute(tx)
    .map(|_| ())
}

/// Writes down that those of an order are over whose time is.
pub(super) fn expire(tx: &mut Tx, now: Instant, order: OrderId) -> Result<usize> {
    let update = "UPDATE amendments SET state = 'expired', ended_at = expires_at, version = version + 1 \
                  WHERE order_id = ? AND state = 'open' AND expires_at <= ?";
    sql(update).bind(order).bind(now).execute(tx)
}

/// Whether an order has one that is open and not over.
pub(super) fn is_open(tx: &mut Tx, now: Instant, order: OrderId) -> Result<bool> {
    let query = "SELECT order_version FROM amendments WHERE order_id = ? AND state = 'open' AND expires_at > ?";
    Ok(sql(query).bind(order).bind(now).first::<BigInt, i64>(tx)?.is_some())
}

/// One by its id, of an order.
pub(super) fn get(tx: &mut Tx, order: OrderId, id: AmendmentId) -> Result<Option<Amendment>> {
    let query = sql(format!("SELECT {COLUMNS} WHERE id = ? AND order_id = ?")).bind(id).bind(order);
    Ok(query.first::<Types, Row>(tx)?.map(amendment))
}

/// An order's, the oldest first, after a place.
pub(super) fn of_order(
    tx: &mut Tx,
    order: OrderId,
    after: Option<(Instant, AmendmentId)>,
    limit: i64,
) -> Result<Vec<Amendment>> {
    let (at, id) = after.unwrap_or((Instant::from_micros(0), AmendmentId::from_bytes([0; 16])));
    let query =
        format!("SELECT {COLUMNS} WHERE order_id = ? AND (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?");
    let rows = sql(query).bind(order).bind(at).bind(id).bind(limit).load::<Types, Row>(tx)?;
    Ok(rows.into_iter().map(amendment).collect())
}

/// Those of several orders, with one statement.
pub(super) fn of_orders(tx: &mut Tx, orders: &[OrderId]) -> Result<Vec<Amendment>> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT {COLUMNS} WHERE order_id IN (SELECT wanted FROM {list}) ORDER BY created_at, id");
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    let rows = sql(query).bind(wanted).load::<Types, Row>(tx)?;
    Ok(rows.into_iter().map(amendment).collect())
}

/// Those of several orders behind one of them, in the order of their ids: one statement.
pub(super) fn of_orders_after(
    tx: &mut Tx,
    orders: &[OrderId],
    after: Option<AmendmentId>,
    limit: i64,
) -> Result<Vec<Amendment>> {
    let after = after.unwrap_or(AmendmentId::from_bytes([0; 16]));
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query =
        format!("SELECT {COLUMNS} WHERE order_id IN (SELECT wanted FROM {list}) AND id > ? ORDER BY id LIMIT ?");
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    let rows = sql(query).bind(wanted).bind(after).bind(limit).load::<Types, Row>(tx)?;
    Ok(rows.into_iter().map(amendment).collect())
}

/// Writes what one says now, or that it has ended. False where somebody else has written since it was read, or it is over.
pub(super) fn save(tx: &mut Tx, now: Instant, one: &Amendment, seen: i64) -> Result<bool> {
    let update = "UPDATE amendments SET state = ?, order_version = ?, version = ?, ended_at = ?, doc = ? \
                  WHERE id = ? AND version = ? AND state = 'open' AND expires_at > ?";
    let update = sql(update).bind(one.state.as_str()).bind(one.order_version).bind(one.version).bind(one.ended_at);
    Ok(update.bind(Json::of(&one.kept)?).bind(one.id).bind(seen).bind(now).execute(tx)? == 1)
}

/// Lets an open one be confirmed until then at least. False where somebody else has written since it was read.
pub(super) fn extend(tx: &mut Tx, one: &Amendment, until: Instant) -> Result<bool> {
    let update =
        "UPDATE amendments SET expires_at = ?, version = version + 1 WHERE id = ? AND version = ? AND state = 'open'";
    Ok(sql(update).bind(until.max(one.expires_at)).bind(one.id).bind(one.version).execute(tx)? == 1)
}

/// Writes one again without what is personal in it.
pub(super) fn forget(tx: &mut Tx, id: AmendmentId, kept: &Kept) -> Result<()> {
    let update = sql("UPDATE amendments SET doc = ?, version = version + 1 WHERE id = ?");
    update.bind(Json::of(kept)?).bind(id).execute(tx).map(|_| ())
}

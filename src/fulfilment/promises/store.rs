//! The only file that writes `delivery_promises` and `delivery_waits`.

use std::collections::HashSet;

use diesel::sql_types::BigInt;
use serde_json::json;

use crate::{
    db::{Col, InstantSql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{FulfilmentOrderId, OrderId, VariantId},
    },
};

/// Keeps until when an order has arrived, as it was promised when it was placed.
pub(super) fn promise(tx: &mut Tx, order: OrderId, until: Instant) -> Result<()> {
    sql("INSERT INTO delivery_promises (order_id, promised_until) VALUES (?, ?)")
        .bind(order)
        .bind(until)
        .execute(tx)
        .map(|_| ())
}

/// Notes that an order waits for goods.
pub(super) fn wait(tx: &mut Tx, now: Instant, order: OrderId) -> Result<()> {
    sql("INSERT INTO delivery_waits (order_id, since) VALUES (?, ?) ON CONFLICT (order_id) DO UPDATE SET ended_at = NULL")
        .bind(order)
        .bind(now)
        .execute(tx)
        .map(|_| ())
}

/// Whether an order waits for goods.
pub(super) fn waits(tx: &mut Tx, order: OrderId) -> Result<bool> {
    let found = sql("SELECT order_id FROM delivery_waits WHERE order_id = ? AND ended_at IS NULL").bind(order);
    Ok(found.first::<UidSql, OrderId>(tx)?.is_some())
}

/// Keeps until when an order arrives as it was told now; one that never waited does not wait.
pub(super) fn tell(tx: &mut Tx, now: Instant, order: OrderId, until: Instant) -> Result<()> {
    let upsert = "INSERT INTO delivery_waits (order_id, told_until, since, ended_at) VALUES (?, ?, ?, ?) \
                  ON CONFLICT (order_id) DO UPDATE SET told_until = excluded.told_until";
    sql(upsert).bind(order).bind(until).bind(now).bind(now).execute(tx).map(|_| ())
}

/// Notes that an order does not wait any more.
pub(super) fn end(tx: &mut Tx, now: Instant, order: OrderId) -> Result<()> {
    sql("UPDATE delivery_waits SET ended_at = ? WHERE order_id = ? AND ended_at IS NULL")
        .bind(now)
        .bind(order)
        .execute(tx)
        .map(|_| ())
}

/// The orders that wait for goods and have open lines of a variant, wherever, in the order in which they are served (by priority, then by
/// when they are due), behind one of them: up to so many.
pub(super) fn waiting_for(
    tx: &mut Tx,
    variant: VariantId,
    after: Option<(i64, Instant, OrderId)>,
    limit: i64,
) -> Result<Vec<(i64, Instant, OrderId)>> {
    let behind = if after.is_some() { " WHERE (rank, due, order_id) > (?, ?, ?)" } else { "" };
    // Those that wait lead: they are few.
    let query = format!(
        "SELECT rank, due, order_id FROM (SELECT w.order_id, -max(o.priority) AS rank, min(o.due_at) AS due FROM delivery_waits AS w \
           JOIN fulfilment_orders AS o ON o.order_id = w.order_id JOIN fulfilment_lines AS f ON f.fulfilment_order_id = o.id \
           WHERE w.ended_at IS NULL AND o.state NOT IN ('shipped', 'delivered', 'cancelled') AND f.variant_id = ? \
             AND f.quantity - f.cancelled - f.picked > 0 GROUP BY w.order_id) AS waiting{behind} ORDER BY rank, due, order_id LIMIT ?"
    );
    let query = sql(query).bind(variant);
    let query = match after {
        Some((rank, due, order)) => query.bind(rank).bind(due).bind(order),
        None => query,
    };
    query.bind(limit).load::<(BigInt, InstantSql, UidSql), (i64, Instant, OrderId)>(tx)
}

/// The orders of which something is held for what a picker has not found, behind one of them: up to so many.
pub(super) fn held_for_missed(tx: &mut Tx, after: Option<OrderId>, limit: i64) -> Result<Vec<OrderId>> {
    let behind = if after.is_some() { " AND o.order_id > ?" } else { "" };
    // What is held leads: it is little.
    let query = format!(
        "SELECT DISTINCT o.order_id FROM fulfilment_holds AS h CROSS JOIN fulfilment_orders AS o \
         WHERE o.id = h.fulfilment_order_id AND h.released_at IS NULL AND h.kind = 'stock' AND o.state NOT IN ('shipped', 'delivered', 'cancelled') \
         AND o.doc->'missed' IS NOT NULL{behind} ORDER BY o.order_id LIMIT ?"
    );
    let query = match after {
        Some(after) => sql(query).bind(after),
        None => sql(query),
    };
    query.bind(limit).load::<UidSql, OrderId>(tx)
}

/// The orders that fulfilment orders are of.
pub(super) fn orders_of(tx: &mut Tx, works: &[FulfilmentOrderId]) -> Result<HashSet<OrderId>> {
    if works.is_empty() {
        return Ok(HashSet::new());
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT order_id FROM fulfilment_orders WHERE id IN (SELECT wanted FROM {list})");
    let wanted = dialect::rows(works.iter().map(|id| json!([id.hex()])).collect());
    Ok(sql(query).bind(wanted).load::<UidSql, OrderId>(tx)?.into_iter().collect())
}

/// The orders with open lines of variants at a location that wait for goods, behind one of them: up to so many.
pub(super) fn waiting_at(
    tx: &mut Tx,
    levels: &[crate::stock::LevelKey],
    after: Option<OrderId>,
    limit: i64,
) -> Result<Vec<OrderId>> {
    let list = dialect::list(tx, &[("variant", Col::Uid), ("location", Col::Uid)]);
    let behind = if after.is_some() { " AND w.order_id > ?" } else { "" };
    // Those that wait lead: they are few.
    let query = format!(
        "SELECT w.order_id FROM delivery_waits AS w WHERE w.ended_at IS NULL{behind} AND EXISTS (SELECT 1 \
           FROM fulfilment_orders AS o JOIN fulfilment_lines AS f ON f.fulfilment_order_id = o.id \
           JOIN {list} ON variant = f.variant_id AND location = o.location_id WHERE o.order_id = w.order_id \
             AND o.state NOT IN ('shipped', 'delivered', 'cancelled') AND f.quantity - f.cancelled - f.picked > 0) \
         ORDER BY w.order_id LIMIT ?"
    );
    let wanted = dialect::rows(levels.iter().map(|(v, l)| json!([v.hex(), l.hex()])).collect());
    let query = match after {
        Some(after) => sql(query).bind(after).bind(wanted),
        None => sql(query).bind(wanted),
    };
    query.bind(limit).load::<UidSql, OrderId>(tx)
}

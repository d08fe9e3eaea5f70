//! The only file that writes `delivery_promises` and `delivery_waits`.

use serde_json::json;

use crate::{
    db::{Col, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{Instant, ids::OrderId},
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

/// Keeps until when an order arrives as it was told now.
pub(super) fn tell(tx: &mut Tx, order: OrderId, until: Instant) -> Result<()> {
    sql("UPDATE delivery_waits SET told_until = ? WHERE order_id = ?").bind(until).bind(order).execute(tx).map(|_| ())
}

/// Notes that an order does not wait any more.
pub(super) fn end(tx: &mut Tx, now: Instant, order: OrderId) -> Result<()> {
    sql("UPDATE delivery_waits SET ended_at = ? WHERE order_id = ? AND ended_at IS NULL")
        .bind(now)
        .bind(order)
        .execute(tx)
        .map(|_| ())
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

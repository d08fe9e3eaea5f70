//! The only file that touches `order_claims`.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::model::{ClaimDetails, ClaimPart, ClaimedParcel, OrderClaimDocument, OrderClaimKind, OrderClaimState};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Actor, Instant,
        ids::{ChannelId, OrderClaimId, OrderId, ShipmentId},
    },
};

const SELECTED: &str = "id, number, order_id, order_number, channel_id, kind, state, state_since, shipment_id, doc, version, \
     opened_at, updated_at";

#[rustfmt::skip]
type Columns = (
    UidSql, Text, UidSql, Text, UidSql, Text, Text, InstantSql, Nullable<UidSql>, DocSql, BigInt, InstantSql, InstantSql,
);
#[rustfmt::skip]
type Row = (
    OrderClaimId, String, OrderId, String, ChannelId, OrderClaimKind, OrderClaimState, Instant, Option<ShipmentId>, Doc<ClaimDetails>,
    i64, Instant, Instant,
);

#[rustfmt::skip]
fn made(row: Row) -> OrderClaimDocument {
    let (
        id, number, order_id, order_number, channel_id, kind, state, state_since, shipment_id, Doc(doc), version, opened_at, updated_at,
    ) = row;
    let ClaimDetails { mut lines, comment, by_customer, resolution, reason, return_id, amount, reshipped_by, parts } = doc;
    // What was claimed before parcels were counted.
    for line in lines.iter_mut().filter(|line| line.parcels.is_empty()) {
        let open = if state == OrderClaimState::Open { line.open() } else { 0 };
        line.parcels.extend(shipment_id.map(|shipment_id| ClaimedParcel { shipment_id, quantity: line.quantity, open }));
    }
    OrderClaimDocument {
        id, number, order_id, order_number, channel_id, kind, state, state_since, shipment_id, lines, comment, by_customer, resolution,
        reason, return_id, amount, reshipped_by, parts, version, opened_at, updated_at,
    }
}

fn details(one: &OrderClaimDocument) -> Result<Json> {
    let OrderClaimDocument {
        lines,
        comment,
        by_customer,
        resolution,
        reason,
        return_id,
        amount,
        reshipped_by,
        parts,
        ..
    } = one.clone();
    Json::of(&ClaimDetails { lines, comment, by_customer, resolution, reason, return_id, amount, reshipped_by, parts })
}

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<OrderClaimDocument>> {
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(made).collect())
}

pub(super) fn insert(tx: &mut Tx, new: &OrderClaimDocument) -> Result<()> {
    sql(format!("INSERT INTO order_claims ({SELECTED}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(new.id)
        .bind(new.number.as_str())
        .bind(new.order_id)
        .bind(new.order_number.as_str())
        .bind(new.channel_id)
        .bind(new.kind.as_str())
        .bind(new.state.as_str())
        .bind(new.state_since)
        .bind(new.shipment_id)
        .bind(details(new)?)
        .bind(new.version)
        .bind(new.opened_at)
        .bind(new.updated_at)
        .execute(tx)
        .map(|_| ())
}

/// Writes a claim at the version after the one it had. False when it has changed since.
pub(super) fn update(tx: &mut Tx, one: &OrderClaimDocument) -> Result<bool> {
    let update = sql("UPDATE order_claims SET state = ?, state_since = ?, doc = ?, version = ?, updated_at = ? \
                      WHERE id = ? AND version = ?")
    .bind(one.state.as_str())
    .bind(one.state_since)
    .bind(details(one)?)
    .bind(one.version)
    .bind(one.updated_at)
    .bind(one.id)
    .bind(one.version - 1);
    Ok(update.execute(tx)? == 1)
}

pub(super) fn get(tx: &mut Tx, id: OrderClaimId) -> Result<Option<OrderClaimDocument>> {
    Ok(load(tx, sql(format!("SELECT {SELECTED} FROM order_claims WHERE id = ?")).bind(id))?.pop())
}

/// The claim with a number; letters may be small.
pub(super) fn numbered(tx: &mut Tx, number: &str) -> Result<Vec<OrderClaimDocument>> {
    let query = sql(format!("SELECT {SELECTED} FROM order_claims WHERE number IN (?, ?) ORDER BY id DESC"));
    load(tx, query.bind(number).bind(number.to_uppercase()))
}

/// The claims of orders behind one of them, in the order of their ids: one statement.
pub(super) fn of_orders(
    tx: &mut Tx,
    orders: &[OrderId],
    after: Option<OrderClaimId>,
    limit: i64,
) -> Result<Vec<OrderClaimDocument>> {
    let after = after.unwrap_or(OrderClaimId::from_bytes([0; 16]));
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT {SELECTED} FROM order_claims WHERE order_id IN (SELECT wanted FROM {list}) AND id > ? ORDER BY id LIMIT ?"
    );
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    load(tx, sql(query).bind(wanted).bind(after).bind(limit))
}

/// The claims of an order, the oldest first.
pub(super) fn of_order(tx: &mut Tx, order: OrderId) -> Result<Vec<OrderClaimDocument>> {
    load(tx, sql(format!("SELECT {SELECTED} FROM order_claims WHERE order_id = ? ORDER BY id")).bind(order))
}

/// The oldest open claims of the channels that the actor sees.
pub(super) fn open(tx: &mut Tx, actor: &Actor, limit: i64) -> Result<Vec<OrderClaimDocument>> {
    let (mut text, mut binds) = (
        format!("SELECT {SELECTED} FROM order_claims WHERE state = ?"),
        vec![Bind::from(OrderClaimState::Open.as_str())],
    );
    if let Some(channels) = actor.channels() {
        let list = dialect::list(tx, &[("wanted", Col::Uid)]);
        text.push_str(&format!(" AND channel_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    text.push_str(" ORDER BY state_since, id LIMIT ?");
    binds.push(limit.into());
    load(tx, sql(text).bind_all(binds))
}

/// Takes what customers have written out of the claims of an order, and what was written to them.
pub(super) fn erase(tx: &mut Tx, order: OrderId) -> Result<()> {
    for one in of_order(tx, order)? {
        let silent = |part: ClaimPart| ClaimPart { reason: None, ..part };
        let parts = one.parts.iter().cloned().map(silent).collect();
        let bare = OrderClaimDocument { comment: None, reason: None, parts, ..one };
        sql("UPDATE order_claims SET doc = ? WHERE id = ?").bind(details(&bare)?).bind(bare.id).execute(tx)?;
    }
    Ok(())
}

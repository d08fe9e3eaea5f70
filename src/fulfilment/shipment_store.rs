//! What of shipments is kept: the only file that touches `shipments`.

use diesel::sql_types::{Nullable, Text as SqlText};
use serde_json::{Value, json};

use super::{
    model::{Shipment, ShipmentDetails, ShipmentState},
    tracking::Tracking,
};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Actor, Id, Instant, Waiting,
        ids::{FulfilmentOrderId, OrderId, ShipmentId},
        text,
    },
};

type ShipmentColumns = (
    UidSql,
    UidSql,
    UidSql,
    Nullable<SqlText>,
    Nullable<SqlText>,
    SqlText,
    DocSql,
    InstantSql,
    Nullable<InstantSql>,
    InstantSql,
    Nullable<InstantSql>,
    Nullable<SqlText>,
);
type ShipmentRow = (
    ShipmentId,
    FulfilmentOrderId,
    OrderId,
    Option<String>,
    Option<String>,
    ShipmentState,
    Doc<ShipmentDetails>,
    Instant,
    Option<Instant>,
    Instant,
    Option<Instant>,
    Option<Tracking>,
);
const SHIPMENT: &str = "id, fulfilment_order_id, order_id, carrier, tracking_number, state, doc, shipped_at, \
     delivered_at, recorded_at, corrected_at, tracking";

fn shipment_of(row: ShipmentRow) -> Shipment {
    let (
        id,
        fulfilment_order_id,
        order_id,
        carrier,
        tracking_number,
        state,
        Doc(doc),
        shipped_at,
        delivered_at,
        at,
        corrected,
        tracking,
    ) = row;
    // The column keeps where it stood: what was taken back is no shipment any more.
    let state = if corrected.is_some() { ShipmentState::Corrected } else { state };
    // A process that knows nothing finer may have seen it arrive.
    let tracking = match state {
        ShipmentState::Delivered => Tracking::Delivered,
        _ => tracking.unwrap_or(Tracking::Announced),
    };
    let ShipmentDetails { location_id, tracking_url, lines, scans, corrections, packages } = doc;
    Shipment {
        id,
        fulfilment_order_id,
        order_id,
        location_id,
        carrier,
        tracking_number,
        tracking_url,
        state,
        tracking,
        lines,
        packages,
        shipped_at,
        delivered_at,
        corrected_at: corrected,
        corrections,
        scans,
        recorded_at: at,
    }
}

fn details(shipment: &Shipment) -> Result<Doc<Value>> {
    Ok(Doc(serde_json::to_value(ShipmentDetails {
        location_id: shipment.location_id,
        tracking_url: shipment.tracking_url.clone(),
        lines: shipment.lines.clone(),
        scans: shipment.scans.clone(),
        corrections: shipment.corrections.clone(),
        packages: shipment.packages.clone(),
    })?))
}

pub(super) fn insert_shipment(tx: &mut Tx, shipment: &Shipment) -> Result<()> {
    sql("INSERT INTO shipments (id, fulfilment_order_id, order_id, carrier, tracking_number, tracking_folded, state, \
         doc, shipped_at, delivered_at, recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(shipment.id)
    .bind(shipment.fulfilment_order_id)
    .bind(shipment.order_id)
    .bind(shipment.carrier.clone())
    .bind(shipment.tracking_number.clone())
    .bind(shipment.tracking_number.as_deref().map(text::squeeze))
    .bind(shipment.state.as_str())
    .bind(details(shipment)?)
    .bind(shipment.shipped_at)
    .bind(shipment.delivered_at)
    .bind(shipment.recorded_at)
    .execute(tx)?;
    Ok(())
}

/// Notes that a shipment has arrived. False when that is known already.
pub(super) fn deliver(tx: &mut Tx, id: ShipmentId, at: Instant) -> Result<bool> {
    let update = "UPDATE shipments SET state = 'delivered', tracking = 'delivered', delivered_at = ? \
                  WHERE id = ? AND state = 'shipped' AND corrected_at IS NULL";
    Ok(sql(update).bind(at).bind(id).execute(tx)? == 1)
}

/// The column's word for where a shipment is: nothing, where nothing was heard of it.
fn heard(tracking: Tracking) -> Option<&'static str> {
    (tracking != Tracking::Announced).then_some(tracking.as_str())
}

/// Notes that a shipment has not arrived after all, and where it is then. False when nobody had said so.
pub(super) fn undeliver(tx: &mut Tx, id: ShipmentId, tracking: Tracking) -> Result<bool> {
    let update = "UPDATE shipments SET state = 'shipped', tracking = ?, delivered_at = NULL \
                  WHERE id = ? AND state = 'delivered' AND corrected_at IS NULL";
    Ok(sql(update).bind(heard(tracking)).bind(id).execute(tx)? == 1)
}

/// Notes that a shipment has not left after all. False when that is known already, or when it has arrived.
pub(super) fn unship(tx: &mut Tx, id: ShipmentId, now: Instant) -> Result<bool> {
    let update = "UPDATE shipments SET corrected_at = ? WHERE id = ? AND state = 'shipped' AND corrected_at IS NULL";
    Ok(sql(update).bind(now).bind(id).execute(tx)? == 1)
}

/// Notes where a shipment on its way is. False when it has arrived.
pub(super) fn track(tx: &mut Tx, id: ShipmentId, tracking: Tracking) -> Result<bool> {
    let update = "UPDATE shipments SET tracking = ? WHERE id = ? AND state = 'shipped' AND corrected_at IS NULL";
    Ok(sql(update).bind(heard(tracking)).bind(id).execute(tx)? == 1)
}

/// Notes that a shipment has arrived earlier than was known. False when it has not arrived.
pub(super) fn deliver_earlier(tx: &mut Tx, id: ShipmentId, at: Instant) -> Result<bool> {
    let update = "UPDATE shipments SET delivered_at = ? WHERE id = ? AND state = 'delivered' AND delivered_at > ?";
    Ok(sql(update).bind(at).bind(id).bind(at).execute(tx)? == 1)
}

/// Writes a shipment's document again: the order it is of is locked meanwhile.
pub(super) fn save_details(tx: &mut Tx, shipment: &Shipment) -> Result<()> {
    sql("UPDATE shipments SET doc = ? WHERE id = ?").bind(details(shipment)?).bind(shipment.id).execute(tx)?;
    Ok(())
}

pub(super) fn shipment(tx: &mut Tx, id: ShipmentId) -> Result<Option<Shipment>> {
    let query = sql(format!("SELECT {SHIPMENT} FROM shipments WHERE id = ?")).bind(id);
    Ok(query.first::<ShipmentColumns, ShipmentRow>(tx)?.map(shipment_of))
}

/// The shipments that a carrier calls by a number, those left out that have not left after all.
pub(super) fn by_number(tx: &mut Tx, number: &str) -> Result<Vec<ShipmentId>> {
    let query = "SELECT id FROM shipments WHERE tracking_folded = ? AND corrected_at IS NULL ORDER BY id LIMIT 10";
    sql(query).bind(text::squeeze(number)).load::<UidSql, ShipmentId>(tx)
}

/// An order's shipments, the oldest first.
pub(super) fn shipments(tx: &mut Tx, order: OrderId) -> Result<Vec<Shipment>> {
    let query = sql(format!("SELECT {SHIPMENT} FROM shipments WHERE order_id = ? ORDER BY shipped_at, id")).bind(order);
    Ok(query.load::<ShipmentColumns, ShipmentRow>(tx)?.into_iter().map(shipment_of).collect())
}

/// Shipments by their ids.
pub(super) fn shipments_by_ids(tx: &mut Tx, ids: &[ShipmentId]) -> Result<Vec<Shipment>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT {SHIPMENT} FROM shipments WHERE id IN (SELECT wanted FROM {list}) ORDER BY id");
    let wanted = dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect());
    Ok(sql(query).bind(wanted).load::<ShipmentColumns, ShipmentRow>(tx)?.into_iter().map(shipment_of).collect())
}

/// Shipments after one of them, in the order of their ids.
pub(super) fn shipments_after(tx: &mut Tx, after: Option<ShipmentId>, limit: i64) -> Result<Vec<Shipment>> {
    let after = after.unwrap_or(Id::from_bytes([0; 16]));
    let query = sql(format!("SELECT {SHIPMENT} FROM shipments WHERE id > ? ORDER BY id LIMIT ?"));
    let rows = query.bind(after).bind(limit).load::<ShipmentColumns, ShipmentRow>(tx)?;
    Ok(rows.into_iter().map(shipment_of).collect())
}

/// Parcels that could not be handed over and that the actor may see, as what waits for a person; what left first in front.
///
/// # Errors
/// What the database says.
pub fn waiting_attempts(tx: &mut Tx, actor: &Actor, limit: i64) -> Result<Vec<Waiting>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let mut text = "SELECT s.id, s.shipped_at, f.order_number FROM shipments AS s JOIN fulfilment_orders AS f ON f.id = s.fulfilment_order_id \
                    WHERE s.tracking = 'failed_attempt' AND s.state = 'shipped' AND s.corrected_at IS NULL"
        .to_owned();
    let mut binds: Vec<Bind> = Vec::new();
    if let Some(locations) = actor.locations() {
        text.push_str(&format!(" AND f.location_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(locations.iter().map(|id| json!([id.hex()])).collect()));
    }
    if let Some(channels) = actor.channels() {
        text.push_str(&format!(" AND f.channel_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    text.push_str(" ORDER BY s.shipped_at, s.id LIMIT ?");
    binds.push(limit.into());
    type Row = (ShipmentId, Instant, String);
    let found = sql(text).bind_all(binds).load::<(UidSql, InstantSql, SqlText), Row>(tx)?;
    let waiting = |(id, since, number): Row| Waiting {
        id: id.to_string(),
        since,
        subject: format!("a parcel of order {number} could not be handed over: ask the customer, or its carrier"),
        link: format!("/v1/ops/shipments/{id}"),
    };
    Ok(found.into_iter().map(waiting).collect())
}

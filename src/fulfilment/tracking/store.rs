//! The only file that touches `tracking_marks` and `shipment_claims`.

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Text},
};
use serde_json::json;

use super::model::{ClaimDetails, ClaimKind, ClaimState, Mark, ShipmentClaim, Tracking};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Sql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Actor, Instant,
        ids::{ChannelId, LocationId, OrderId, ShipmentId},
    },
};

/// Notes a mark of a parcel, whose order is locked, and gives all that are known of it; whether it is new.
pub(in crate::fulfilment) fn note(tx: &mut Tx, shipment: ShipmentId, mark: Mark) -> Result<(Vec<Mark>, bool)> {
    let insert = "INSERT INTO tracking_marks (shipment_id, at, mark) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    let new = sql(insert).bind(shipment).bind(mark.at).bind(mark.what.as_str()).execute(tx)? == 1;
    Ok((marks(tx, shipment)?, new))
}

/// Forgets that a parcel whose order is locked has arrived, and gives what else is known of it.
pub(in crate::fulfilment) fn forget_arrival(tx: &mut Tx, shipment: ShipmentId) -> Result<Vec<Mark>> {
    let delete = sql("DELETE FROM tracking_marks WHERE shipment_id = ? AND mark = ?");
    delete.bind(shipment).bind(Tracking::Delivered.as_str()).execute(tx)?;
    marks(tx, shipment)
}

fn marks(tx: &mut Tx, shipment: ShipmentId) -> Result<Vec<Mark>> {
    let query = sql("SELECT at, mark FROM tracking_marks WHERE shipment_id = ? ORDER BY at").bind(shipment);
    let found = query.load::<(InstantSql, Text), (Instant, Tracking)>(tx)?;
    Ok(found.into_iter().map(|(at, what)| Mark { at, what }).collect())
}

#[derive(Queryable)]
struct Row {
    shipment_id: ShipmentId,
    order_id: OrderId,
    order_number: String,
    channel_id: ChannelId,
    location_id: LocationId,
    kind: ClaimKind,
    state: ClaimState,
    since: Instant,
    doc: Doc<ClaimDetails>,
    version: i64,
    updated_at: Instant,
}

type Columns = (UidSql, UidSql, Text, UidSql, UidSql, Text, Text, InstantSql, DocSql, BigInt, InstantSql);
const SELECTED: &str =
    "shipment_id, order_id, order_number, channel_id, location_id, kind, state, since, doc, version, updated_at";

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<ShipmentClaim>> {
    let claim = |row: Row| ShipmentClaim {
        shipment_id: row.shipment_id,
        order_id: row.order_id,
        order_number: row.order_number,
        channel_id: row.channel_id,
        location_id: row.location_id,
        kind: row.kind,
        state: row.state,
        since: row.since,
        resolution: row.doc.0.resolution,
        note: row.doc.0.note,
        reshipped_by: row.doc.0.reshipped_by,
        version: row.version,
        updated_at: row.updated_at,
    };
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(claim).collect())
}

pub(super) fn claim(tx: &mut Tx, shipment: ShipmentId) -> Result<Option<ShipmentClaim>> {
    Ok(load(tx, sql(format!("SELECT {SELECTED} FROM shipment_claims WHERE shipment_id = ?")).bind(shipment))?.pop())
}

/// The open claims of an order's parcels.
pub(super) fn open_of(tx: &mut Tx, order: OrderId) -> Result<Vec<ShipmentClaim>> {
    // The parcels of the order lead: claims have no index by it.
    let query = format!(
        "SELECT {SELECTED} FROM shipment_claims WHERE state = 'open' AND shipment_id IN (SELECT id FROM shipments WHERE order_id = ?) \
         ORDER BY shipment_id"
    );
    load(tx, sql(query).bind(order))
}

fn details(claim: &ShipmentClaim) -> ClaimDetails {
    let (note, reshipped_by) = (claim.note.clone(), claim.reshipped_by.clone());
    ClaimDetails { resolution: claim.resolution, note, reshipped_by }
}

pub(super) fn insert(tx: &mut Tx, claim: &ShipmentClaim) -> Result<()> {
    let details = details(claim);
    sql(format!("INSERT INTO shipment_claims ({SELECTED}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(claim.shipment_id)
        .bind(claim.order_id)
        .bind(claim.order_number.as_str())
        .bind(claim.channel_id)
        .bind(claim.location_id)
        .bind(claim.kind.as_str())
        .bind(claim.state.as_str())
        .bind(claim.since)
        .bind(Doc(serde_json::to_value(details)?))
        .bind(claim.version)
        .bind(claim.updated_at)
        .execute(tx)?;
    Ok(())
}

/// Writes a claim at the version after the one it had. False when it has changed since.
pub(super) fn update(tx: &mut Tx, claim: &ShipmentClaim) -> Result<bool> {
    let details = details(claim);
    let update = sql(
        "UPDATE shipment_claims SET kind = ?, state = ?, since = ?, doc = ?, version = version + 1, updated_at = ? \
         WHERE shipment_id = ? AND version = ?",
    )
    .bind(claim.kind.as_str())
    .bind(claim.state.as_str())
    .bind(claim.since)
    .bind(Doc(serde_json::to_value(details)?))
    .bind(claim.updated_at)
    .bind(claim.shipment_id)
    .bind(claim.version - 1);
    Ok(update.execute(tx)? == 1)
}

/// Claims in a state that the actor may see, the oldest first, after one of them.
pub(super) fn page(
    tx: &mut Tx,
    actor: &Actor,
    state: ClaimState,
    after: Option<(Instant, ShipmentId)>,
    limit: i64,
) -> Result<Vec<ShipmentClaim>> {
    page_of(tx, actor, (state, None), after, limit)
}

/// The same of one kind.
pub(super) fn page_of(
    tx: &mut Tx,
    actor: &Actor,
    (state, kind): (ClaimState, Option<ClaimKind>),
    after: Option<(Instant, ShipmentId)>,
    limit: i64,
) -> Result<Vec<ShipmentClaim>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let (mut text, mut binds) =
        (format!("SELECT {SELECTED} FROM shipment_claims WHERE state = ?"), vec![Bind::from(state.as_str())]);
    if let Some(kind) = kind {
        text.push_str(" AND kind = ?");
        binds.push(kind.as_str().into());
    }
    if let Some(locations) = actor.locations() {
        text.push_str(&format!(" AND location_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(locations.iter().map(|id| json!([id.hex()])).collect()));
    }
    if let Some(channels) = actor.channels() {
        text.push_str(&format!(" AND channel_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    if let Some((since, id)) = after {
        text.push_str(" AND (since, shipment_id) > (?, ?)");
        binds.extend([since.into(), id.into()]);
    }
    text.push_str(" ORDER BY since, shipment_id LIMIT ?");
    binds.push(limit.into());
    load(tx, sql(text).bind_all(binds))
}

/// Forgets what was heard before an instant of parcels on their way; how many marks, `limit` at most. That they arrived, were lost or
/// came back stays: what is heard later is judged by it.
pub(in crate::fulfilment) fn purge(tx: &mut Tx, before: Instant, limit: i64) -> Result<usize> {
    let delete = "DELETE FROM tracking_marks WHERE (shipment_id, at, mark) IN (SELECT shipment_id, at, mark FROM tracking_marks \
                  WHERE mark NOT IN ('delivered', 'lost', 'returned_to_sender') AND at < ? ORDER BY at LIMIT ?)";
    sql(delete).bind(before).bind(limit).execute(tx)
}

//! The only file that touches `manifests` and `manifest_shipments`.

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Text},
};

use super::model::{Manifest, ManifestDetails, ManifestState};
use crate::{
    db::{Bind, Doc, DocSql, InstantSql, Sql, Tx, UidSql, dialect, newest_at, sql},
    error::{Error, Result},
    kernel::{
        Instant,
        ids::{LocationId, ManifestId, ShipmentId},
        text::squeeze,
    },
};

#[derive(Queryable)]
struct Row {
    id: ManifestId,
    location_id: LocationId,
    carrier: String,
    day: String,
    state: ManifestState,
    doc: Doc<ManifestDetails>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
}

type Columns = (UidSql, UidSql, Text, Text, Text, DocSql, BigInt, InstantSql, InstantSql);
const SELECTED: &str = "id, location_id, carrier, day, state, doc, version, created_at, updated_at";

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<Manifest>> {
    let manifest = |row: Row| Manifest {
        id: row.id,
        location_id: row.location_id,
        carrier: row.carrier,
        day: row.day,
        state: row.state,
        totals: row.doc.0.totals,
        closed_at: row.doc.0.closed_at,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(manifest).collect())
}

fn details(manifest: &Manifest) -> Result<Doc<serde_json::Value>> {
    let details = ManifestDetails { totals: manifest.totals, closed_at: manifest.closed_at };
    Ok(Doc(serde_json::to_value(details)?))
}

/// Writes a new manifest. A UNIQUE violation when the carrier has an open one there for the day.
pub(super) fn insert(tx: &mut Tx, manifest: &Manifest) -> Result<()> {
    sql("INSERT INTO manifests (id, location_id, carrier, carrier_folded, day, state, doc, version, created_at, updated_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(manifest.id)
    .bind(manifest.location_id)
    .bind(manifest.carrier.as_str())
    .bind(squeeze(&manifest.carrier))
    .bind(manifest.day.as_str())
    .bind(manifest.state.as_str())
    .bind(details(manifest)?)
    .bind(manifest.version)
    .bind(manifest.created_at)
    .bind(manifest.updated_at)
    .execute(tx)?;
    Ok(())
}

/// Writes a manifest that is open until now, at the version after the one it had. False when it has changed since.
pub(super) fn update(tx: &mut Tx, manifest: &Manifest) -> Result<bool> {
    let update = sql("UPDATE manifests SET state = ?, doc = ?, version = version + 1, updated_at = ? \
         WHERE id = ? AND state = 'open' AND version = ?")
    .bind(manifest.state.as_str())
    .bind(details(manifest)?)
    .bind(manifest.updated_at)
    .bind(manifest.id)
    .bind(manifest.version - 1);
    Ok(update.execute(tx)? == 1)
}

pub(super) fn get(tx: &mut Tx, id: ManifestId) -> Result<Option<Manifest>> {
    Ok(load(tx, sql(format!("SELECT {SELECTED} FROM manifests WHERE id = ?")).bind(id))?.pop())
}

/// The same, locked until the end of the transaction.
pub(super) fn lock(tx: &mut Tx, id: ManifestId) -> Result<Option<Manifest>> {
    let query = format!("SELECT {SELECTED} FROM manifests WHERE id = ?{}", dialect::for_update(tx));
    Ok(load(tx, sql(query).bind(id))?.pop())
}

/// Manifests of locations, the newest first, before one of them.
pub(super) fn page(
    tx: &mut Tx,
    (locations, state): (Option<&[LocationId]>, Option<ManifestState>),
    before: Option<ManifestId>,
    limit: i64,
) -> Result<Vec<Manifest>> {
    let select = format!("SELECT {SELECTED} FROM manifests");
    let query = newest_at(tx, &select, (locations, state.map(ManifestState::as_str)), before, limit);
    load(tx, query)
}

/// Notes that a shipment waits for its carrier's manifest.
pub(super) fn enlist(
    tx: &mut Tx,
    shipment: ShipmentId,
    location: LocationId,
    carrier: &str,
    at: Instant,
) -> Result<()> {
    sql("INSERT INTO manifest_shipments (shipment_id, location_id, carrier_folded, shipped_at) VALUES (?, ?, ?, ?)")
        .bind(shipment)
        .bind(location)
        .bind(squeeze(carrier))
        .bind(at)
        .execute(tx)?;
    Ok(())
}

/// Takes onto a manifest what waits for its carrier at its location, of what has left since an instant; how many that is.
pub(super) fn collect(tx: &mut Tx, manifest: &Manifest, since: Instant) -> Result<usize> {
    sql("UPDATE manifest_shipments SET manifest_id = ? WHERE location_id = ? AND carrier_folded = ? AND shipped_at >= ? \
         AND manifest_id IS NULL")
    .bind(manifest.id)
    .bind(manifest.location_id)
    .bind(squeeze(&manifest.carrier))
    .bind(since)
    .execute(tx)
}

/// The manifest that a shipment is on, locked until the end of the transaction; nothing takes the shipment onto another meanwhile.
pub(super) fn lock_of(tx: &mut Tx, shipment: ShipmentId) -> Result<Option<Manifest>> {
    let on = "SELECT manifest_id FROM manifest_shipments WHERE shipment_id = ? AND manifest_id IS NOT NULL";
    let known = sql(on).bind(shipment).first::<UidSql, ManifestId>(tx)?;
    // The manifest first, as whoever collects on it does.
    let manifest = match known {
        Some(id) => lock(tx, id)?,
        None => None,
    };
    let row = format!("SELECT shipment_id FROM manifest_shipments WHERE shipment_id = ?{}", dialect::for_update(tx));
    sql(row).bind(shipment).first::<UidSql, ShipmentId>(tx)?;
    match sql(on).bind(shipment).first::<UidSql, ManifestId>(tx)? == known {
        true => Ok(manifest),
        false => Err(Error::overtaken("the manifest of a shipment")),
    }
}

/// Takes a shipment off what waits and off a manifest that is open; what is on a closed one stays.
pub(super) fn strike(tx: &mut Tx, shipment: ShipmentId) -> Result<()> {
    sql("DELETE FROM manifest_shipments WHERE shipment_id = ? \
         AND NOT EXISTS (SELECT 1 FROM manifests WHERE id = manifest_id AND state = 'closed')")
    .bind(shipment)
    .execute(tx)?;
    Ok(())
}

/// The shipments on a manifest, in the order of their ids, after one of them.
pub(super) fn shipments(
    tx: &mut Tx,
    manifest: ManifestId,
    after: Option<ShipmentId>,
    limit: Option<i64>,
) -> Result<Vec<ShipmentId>> {
    let mut text = String::from("SELECT shipment_id FROM manifest_shipments WHERE manifest_id = ?");
    let mut binds = vec![Bind::from(manifest)];
    if let Some(after) = after {
        text.push_str(" AND shipment_id > ?");
        binds.push(after.into());
    }
    text.push_str(" ORDER BY shipment_id");
    if let Some(limit) = limit {
        text.push_str(" LIMIT ?");
        binds.push(limit.into());
    }
    sql(text).bind_all(binds).load::<UidSql, ShipmentId>(tx)
}

//! Commands on manifests. Each locks the manifest and touches no order: what leaves meanwhile waits for the next.

use std::collections::HashMap;

// What is asked for as it stands in the tables.
pub(super) use super::store::page;
use super::{
    model::{Manifest, ManifestCommand, ManifestRow, ManifestState, ManifestTotals},
    store,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    fulfilment::{
        Shipment, orders_by_ids,
        parcels::{Package, of_shipments},
        shipments_by_ids,
    },
    kernel::{
        Actor, Instant,
        ids::{FulfilmentOrderId, ManifestId, ShipmentId},
        local,
    },
    stock::Location,
};

/// What has left longer ago than this is on no manifest any more: it was told later.
const DAYS: i64 = 7;

/// Notes that a shipment waits for its carrier's manifest, where it has left just now and names a carrier.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn enlist(tx: &mut Tx, now: Instant, shipment: &Shipment) -> Result<()> {
    let recent = shipment.shipped_at >= since(now);
    match shipment.carrier.as_deref().filter(|_| recent) {
        Some(carrier) => store::enlist(tx, shipment.id, shipment.location_id, carrier, shipment.shipped_at),
        None => Ok(()),
    }
}

/// Whether a shipment was handed over to its carrier on a manifest that is closed. It stays so until the end of the transaction.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn is_handed_over(tx: &mut Tx, shipment: ShipmentId) -> Result<bool> {
    Ok(store::lock_of(tx, shipment)?.is_some_and(|manifest| manifest.state == ManifestState::Closed))
}

/// Takes a shipment that has not left after all off what its carrier fetches. On a manifest that is closed it stays: nothing is edited
/// away.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn strike(tx: &mut Tx, shipment: ShipmentId) -> Result<()> {
    store::strike(tx, shipment)
}

fn since(now: Instant) -> Instant {
    now.plus_seconds(-DAYS * 86_400)
}

/// A manifest that the actor may see: who is limited to channels sees none, for it is of all of them.
///
/// # Errors
/// `not_found`.
pub(super) fn get(tx: &mut Tx, actor: &Actor, id: ManifestId) -> Result<Manifest> {
    let found = store::get(tx, id)?;
    visible(actor, found)
}

fn visible(actor: &Actor, found: Option<Manifest>) -> Result<Manifest> {
    found.filter(|manifest| actor.keeps_stock_at(manifest.location_id)).ok_or_else(|| Error::not_found("manifest"))
}

/// Opens a location's manifest of a carrier for today, with what waits for it.
///
/// # Errors
/// `duplicate` when there is an open one.
pub(super) fn open(tx: &mut Tx, now: Instant, id: ManifestId, location: &Location, carrier: &str) -> Result<Manifest> {
    let made = Manifest {
        id,
        location_id: location.id,
        carrier: carrier.to_owned(),
        day: local::day_of(location.time_zone.0, now).to_string(),
        state: ManifestState::Open,
        totals: ManifestTotals::default(),
        closed_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let there = || {
        let detail = "the carrier has an open manifest there for today: collect on it, or close it";
        Error::problem(Code::Duplicate, detail).at("/carrier")
    };
    on_duplicate(store::insert(tx, &made), there)?;
    store::collect(tx, &made, since(now))?;
    save(tx, now, made)
}

/// Locks a manifest that the actor may see and that takes a command.
fn start(tx: &mut Tx, actor: &Actor, id: ManifestId, command: ManifestCommand) -> Result<Manifest> {
    let found = store::lock(tx, id)?;
    let mut manifest = visible(actor, found)?;
    manifest.state = manifest.state.apply(command)?;
    Ok(manifest)
}

/// Writes a manifest with what is on it now.
fn save(tx: &mut Tx, now: Instant, mut manifest: Manifest) -> Result<Manifest> {
    let ids = store::shipments(tx, manifest.id, None, None)?;
    manifest.totals = ManifestTotals::of(&rows_of(tx, &ids)?);
    (manifest.version, manifest.updated_at) = (manifest.version + 1, now);
    match store::update(tx, &manifest)? {
        true => Ok(manifest),
        false => Err(Error::internal("a manifest has changed while it was locked")),
    }
}

/// Takes onto a manifest what has left since.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn collect(tx: &mut Tx, now: Instant, actor: &Actor, id: ManifestId) -> Result<Manifest> {
    let manifest = start(tx, actor, id, ManifestCommand::Collect)?;
    store::collect(tx, &manifest, since(now))?;
    save(tx, now, manifest)
}

/// Closes a manifest: what is on it stays on it, and nothing else comes onto it.
///
/// # Errors
/// `not_found`; `state_conflict` when it is closed, or nothing is on it.
pub(super) fn close(tx: &mut Tx, now: Instant, actor: &Actor, id: ManifestId) -> Result<Manifest> {
    let manifest = start(tx, actor, id, ManifestCommand::Close)?;
    let closed = save(tx, now, Manifest { closed_at: Some(now), ..manifest })?;
    match closed.totals.shipments {
        0 => Err(Error::conflict("nothing is on the manifest")),
        _ => Ok(closed),
    }
}

/// A page of what is on a manifest that the actor may see.
///
/// # Errors
/// `not_found`.
pub(super) fn rows(
    tx: &mut Tx,
    actor: &Actor,
    id: ManifestId,
    after: Option<ShipmentId>,
    limit: i64,
) -> Result<Vec<ManifestRow>> {
    get(tx, actor, id)?;
    let ids = store::shipments(tx, id, after, Some(limit))?;
    rows_of(tx, &ids)
}

/// Shipments as a manifest lists them: four statements.
fn rows_of(tx: &mut Tx, ids: &[ShipmentId]) -> Result<Vec<ManifestRow>> {
    let shipments = shipments_by_ids(tx, ids)?;
    let work: Vec<FulfilmentOrderId> = shipments.iter().map(|shipment| shipment.fulfilment_order_id).collect();
    let numbers: HashMap<FulfilmentOrderId, String> =
        orders_by_ids(tx, &work)?.into_iter().map(|work| (work.id, work.order_number)).collect();
    let mut packages: HashMap<ShipmentId, Vec<Package>> = HashMap::new();
    for package in of_shipments(tx, ids)? {
        if let Some(shipment) = package.shipment_id {
            packages.entry(shipment).or_default().push(package);
        }
    }
    let mut row = |shipment: Shipment| {
        let packages = packages.remove(&shipment.id).unwrap_or_default();
        let ssccs: Vec<&str> = packages.iter().filter_map(|package| package.sscc.as_deref()).collect();
        ManifestRow {
            shipment_id: shipment.id,
            fulfilment_order_id: shipment.fulfilment_order_id,
            order_number: numbers.get(&shipment.fulfilment_order_id).cloned().unwrap_or_default(),
            tracking_number: shipment.tracking_number,
            packages: i64::try_from(packages.len()).unwrap_or(i64::MAX).max(1),
            ssccs: (!ssccs.is_empty()).then(|| ssccs.join(" ")),
            pieces: shipment.lines.iter().map(|line| line.quantity).sum(),
            weight_grams: packages
                .iter()
                .map(|package| package.weight_grams)
                .sum::<Option<i64>>()
                .filter(|sum| *sum > 0),
            shipped_at: shipment.shipped_at,
        }
    };
    Ok(shipments.into_iter().map(&mut row).collect())
}

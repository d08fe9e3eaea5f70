//! Parcels of which nothing is heard: their carrier is asked where they are, for a message that was lost is never sent again.

use std::{collections::HashMap, sync::Arc};

use super::{
    labels::{TRACK, Task},
    model::Label,
    port::Heard,
    store, webhook,
};
use crate::{
    db::{Db, Lane, Tx},
    error::Result,
    fulfilment::{
        Shipment, ShipmentState,
        parcels::{self, Package},
        store as shipments,
        tracking::Tracking,
    },
    http::State,
    jobs::{self, Job, NewJob, Runner},
    kernel::{
        Id, Instant,
        ids::{CarrierLabelId, JobId, PackageId, ShipmentId},
    },
};

/// So often it is looked for such parcels.
const EVERY_SECONDS: i64 = 600;
/// How many labels are looked at in one transaction.
const BITE: i64 = 50;
/// After so many days nobody is asked any more: a claim is the sender's own to make.
const MOST_DAYS: i64 = 60;

/// Registers the schedule; none where the setting says that nobody is asked.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let days = state.settings.carriers.ask_after_days;
    if days == 0 {
        return;
    }
    let db = Arc::new(state.db.clone());
    runner.every("carriers.ask", EVERY_SECONDS, move |now| {
        let db = db.clone();
        async move { ask_silent(&db, now, days).await }
    });
}

/// Looks at all labels that are due, bite by bite: carriers are asked by jobs for parcels of which nothing was heard for so many days. The
/// number of statements of a bite does not depend on how many they are.
///
/// # Errors
/// What the database says.
pub async fn ask_silent(db: &Db, now: Instant, days: i64) -> Result<()> {
    loop {
        let fresh: Vec<JobId> = (0..BITE).map(|_| Id::new()).collect();
        let looked = db.write_in(Lane::Bulk, move |tx| look(tx, now, days, &fresh)).await?;
        if i64::try_from(looked).is_ok_and(|looked| looked < BITE) {
            return Ok(());
        }
    }
}

/// Looks at labels that are due: whose parcel has been silent is asked for, the others are looked at later or no more. How many they
/// were. At most six statements, however many they are.
fn look(tx: &mut Tx, now: Instant, days: i64, fresh: &[JobId]) -> Result<usize> {
    let due = store::silent(tx, now, BITE)?;
    if due.is_empty() {
        return Ok(0);
    }
    let packages: Vec<PackageId> = due.iter().map(|label| label.package_id).collect();
    let packages = parcels::known_of(tx, &packages)?;
    let left: Vec<ShipmentId> = packages.values().filter_map(|package| package.shipment_id).collect();
    let left = if left.is_empty() { Vec::new() } else { shipments::shipments_by_ids(tx, &left)? };
    let left: HashMap<ShipmentId, Shipment> = left.into_iter().map(|shipment| (shipment.id, shipment)).collect();
    let next: Vec<Next> = due.iter().map(|label| next((now, days), label, (&packages, &left))).collect();
    let noted: Vec<_> = due.iter().zip(&next).map(|(label, next)| (label.id, next.map(|(at, _)| at))).collect();
    // Another process may have looked at some of them this moment.
    let ours = store::ask_again(tx, now, &noted)?;
    let mut asked = Vec::new();
    for ((label, next), id) in due.iter().zip(&next).zip(fresh) {
        if ours.contains(&label.id) && next.is_some_and(|(_, ask)| ask) {
            let job = NewJob::now(TRACK, now, serde_json::to_value(Task { label: label.id })?);
            asked.push(NewJob { id: *id, ..job }.in_order(format!("label:{}", label.id)).in_lane("carriers"));
        }
    }
    if !asked.is_empty() {
        jobs::enqueue(tx, now, asked)?;
    }
    Ok(due.len())
}

/// When a label is looked at next, and whether its carrier is asked now; `None` where there is nothing more to hear.
type Next = Option<(Instant, bool)>;

fn next(
    (now, days): (Instant, i64),
    label: &Label,
    (packages, left): (&HashMap<PackageId, Package>, &HashMap<ShipmentId, Shipment>),
) -> Next {
    let patience = 86_400 * days;
    if label.created_at.plus_seconds(86_400 * MOST_DAYS.max(2 * days)) <= now {
        return None;
    }
    let later = now.plus_seconds(patience);
    let Some(shipment) = packages.get(&label.package_id)?.shipment_id else { return Some((later, false)) };
    let shipment = left.get(&shipment)?;
    if shipment.state != ShipmentState::Shipped || shipment.tracking == Tracking::Delivered {
        return None;
    }
    let last = shipment.scans.iter().map(|scan| scan.at).max().unwrap_or(shipment.shipped_at);
    let silent_since = last.plus_seconds(patience);
    Some(if silent_since <= now { (later, true) } else { (silent_since, false) })
}

/// Notes what a carrier knows of the parcel of a label, with the end of the job that has asked.
///
/// # Errors
/// What the database says.
pub(super) fn heard(tx: &mut Tx, now: Instant, job: &Job, id: CarrierLabelId, scans: &[Heard]) -> Result<()> {
    let Some(label) = store::label(tx, id)? else { return Ok(()) };
    let package = parcels::known(tx, label.package_id)?;
    match package.and_then(|package| package.shipment_id) {
        Some(shipment) => webhook::note(tx, now, job, 0, shipment, scans),
        None => Ok(()),
    }
}

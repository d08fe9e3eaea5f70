//! Parcels of which nothing is heard: their carrier is asked where they are, for a message that was lost is never sent again.

use std::sync::Arc;

use super::{
    labels::{TRACK, Task},
    model::Label,
    port::Heard,
    store, webhook,
};
use crate::{
    db::{Lane, Tx},
    error::Result,
    fulfilment::{ShipmentState, parcels, store as shipments, tracking::Tracking},
    http::State,
    jobs::{self, Job, NewJob, Runner},
    kernel::{
        Id, Instant,
        ids::{CarrierLabelId, JobId},
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
        async move {
            loop {
                let fresh: Vec<JobId> = (0..BITE).map(|_| Id::new()).collect();
                let looked = db.write_in(Lane::Bulk, move |tx| look(tx, now, days, &fresh)).await?;
                if i64::try_from(looked).is_ok_and(|looked| looked < BITE) {
                    return Ok(());
                }
            }
        }
    });
}

/// Looks at labels that are due: whose parcel has been silent is asked for, the others are looked at later or no more. How many they
/// were.
fn look(tx: &mut Tx, now: Instant, days: i64, fresh: &[JobId]) -> Result<usize> {
    let due = store::silent(tx, now, BITE)?;
    let mut asked = Vec::new();
    for (label, id) in due.iter().zip(fresh) {
        let next = next(tx, now, days, label)?;
        // Another process may have looked at it this moment.
        let is_ours = store::ask_again(tx, (label.id, now), next.map(|(at, _)| at))?;
        if is_ours && next.is_some_and(|(_, ask)| ask) {
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
fn next(tx: &mut Tx, now: Instant, days: i64, label: &Label) -> Result<Option<(Instant, bool)>> {
    let patience = 86_400 * days;
    if label.created_at.plus_seconds(86_400 * MOST_DAYS.max(2 * days)) <= now {
        return Ok(None);
    }
    let later = now.plus_seconds(patience);
    let Some(package) = parcels::known(tx, label.package_id)? else { return Ok(None) };
    let Some(shipment) = package.shipment_id else { return Ok(Some((later, false))) };
    let Some(shipment) = shipments::shipment(tx, shipment)? else { return Ok(None) };
    if shipment.state != ShipmentState::Shipped || shipment.tracking == Tracking::Delivered {
        return Ok(None);
    }
    let last = shipment.scans.iter().map(|scan| scan.at).max().unwrap_or(shipment.shipped_at);
    let silent_since = last.plus_seconds(patience);
    Ok(Some(if silent_since <= now { (later, true) } else { (silent_since, false) }))
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

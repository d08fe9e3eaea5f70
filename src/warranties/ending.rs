//! Registrations that are put right, and that end: because staff say so, or because the thing has come back. Each command locks the order first,
//! and then writes the registration at the version that it has seen under that lock.

use serde::Deserialize;

use super::{
    model::{Correction, Registration, ends, over},
    service::{By, CORRECTED, ENDED, get, of_order, registered_already, tell, unknown},
    store,
};
use crate::{
    channels, customers,
    db::{Lane, Tx},
    error::{Error, Result, on_duplicate},
    fulfilment::Fresh,
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::{
        Actor, Instant,
        ids::{EventId, OrderId, RegistrationId, ReturnRequestId},
    },
    orders::{self, CAME_BACK, OrderDocument},
    returns::{self, RequestState, ReturnRequestDocument},
};

/// A registration that the actor may see, with its order, locked; both as they are under the lock.
fn start(tx: &mut Tx, actor: &Actor, id: RegistrationId) -> Result<(OrderDocument, Registration)> {
    let seen = get(tx, id)?.filter(|one| actor.sees_channel(one.channel_id)).ok_or_else(unknown)?;
    let order = orders::lock(tx, seen.order_id)?;
    Ok((order, get(tx, id)?.ok_or_else(unknown)?))
}

/// Writes a registration that has changed since it was seen under the order's lock, and tells of it.
fn save(
    tx: &mut Tx,
    by: By<'_>,
    event: EventId,
    (order, one): (&mut OrderDocument, &mut Registration),
    kind: &'static str,
) -> Result<()> {
    let seen = one.version;
    (one.version, one.updated_at) = (seen + 1, by.0);
    orders::save(tx, by.0, order, &[], 1)?;
    match on_duplicate(store::save(tx, seen, one), || registered_already(&one.sku))? {
        true => tell(tx, by, event, (&*order, &*one), kind),
        false => Err(Error::overtaken("the registration")),
    }
}

/// Puts right what was registered. Where nothing is another than before, nothing happens.
///
/// # Errors
/// `not_found`, also for a customer whom there is not; `version_stale`; `state_conflict` where it has ended; `duplicate` for a serial number
/// that another live one has; `invalid_value`, `history_before_order` for when it arrived.
pub(super) fn correct(
    tx: &mut Tx,
    by: By<'_>,
    event: EventId,
    (id, expected): (RegistrationId, Option<i64>),
    what: &Correction,
) -> Result<Registration> {
    let (mut order, before) = start(tx, by.1, id)?;
    if expected.is_some_and(|seen| seen != before.version) {
        return Err(Error::stale("registration", before.version));
    }
    before.is_live()?;
    let mut one = before.clone();
    if let Some(serial) = &what.serial {
        one.serial.clone_from(serial);
    }
    if let Some(customer) = what.customer {
        let named = customer.map(|id| customers::named(tx, by.1, id)).transpose();
        one.customer_id = named.map_err(|error| error.at("/customer_id"))?;
    }
    if let Some(at) = what.arrived_at {
        order.check_time(Some(at), "/arrived_at")?;
        if at > by.0 {
            return Err(Error::invalid("/arrived_at", "expected when it arrived, not when it will"));
        }
        let settings = channels::settings(tx, one.channel_id)?.ok_or_else(|| Error::not_found("channel"))?;
        (one.arrived_at, one.ends_at) = (at, ends(at, one.months, settings.time_zone.0));
    }
    if one != before {
        save(tx, by, event, (&mut order, &mut one), CORRECTED)?;
    }
    Ok(one)
}

/// Ends a registration: its serial number is free.
///
/// # Errors
/// `not_found`; `version_stale`; `state_conflict` where it has ended, or a claim on its warranty is under way.
pub(super) fn end(
    tx: &mut Tx,
    by: By<'_>,
    event: EventId,
    (id, expected): (RegistrationId, Option<i64>),
    reason: &str,
) -> Result<Registration> {
    let (mut order, mut one) = start(tx, by.1, id)?;
    if expected.is_some_and(|seen| seen != one.version) {
        return Err(Error::stale("registration", one.version));
    }
    one.is_live()?;
    let claimed =
        request_of(&returns::of_order(tx, order.id)?, one.request_id).is_some_and(|known| known.state.is_open());
    if claimed {
        let detail = "a claim on its warranty is under way: settle, reject or cancel its return request first";
        return Err(Error::conflict(detail));
    }
    (one.ended_at, one.end_reason) = (Some(by.0), Some(reason.to_owned()));
    save(tx, by, event, (&mut order, &mut one), ENDED)?;
    Ok(one)
}

fn request_of(known: &[ReturnRequestDocument], id: Option<ReturnRequestId>) -> Option<&ReturnRequestDocument> {
    id.and_then(|id| known.iter().find(|one| one.id == id))
}

/// Ends the registrations of pieces of an order that have come back. However often it is looked at, each ends once.
fn ended_by_returns(tx: &mut Tx, by: By<'_>, fresh: &Fresh, id: OrderId) -> Result<()> {
    let mut order = orders::lock(tx, id)?;
    let live: Vec<Registration> = of_order(tx, id)?.into_iter().filter(|one| one.ended_at.is_none()).collect();
    if live.is_empty() {
        return Ok(());
    }
    let requests = returns::of_order(tx, id)?;
    let claimed = |one: &Registration| {
        let request = request_of(&requests, one.request_id);
        let back = |request: &ReturnRequestDocument| {
            let taken =
                |line_no| request.lines.iter().any(|line| line.line_no == line_no && line.settled.unwrap_or(0) > 0);
            request.state == RequestState::Settled && taken(one.line_no)
        };
        (request.is_some_and(back), request.is_some_and(|request| request.state.is_open()))
    };
    let mut ending = Vec::new();
    for line in &order.lines {
        let own: Vec<Registration> = live.iter().filter(|one| one.line_no == line.line_no).cloned().collect();
        // Only what has come back ends anything: what is taken back of a parcel is sent again.
        if line.quantities.returned > 0 {
            ending.extend(over(&own, line.quantities.shipped - line.quantities.returned, claimed));
        }
    }
    for mut one in ending {
        (one.ended_at, one.end_reason) = (Some(by.0), Some("it has come back".to_owned()));
        // Another id for each: they follow from the job's and the registration's.
        let mut event = *fresh.first::<()>().bytes();
        event.iter_mut().zip(one.id.bytes()).skip(8).for_each(|(to, from)| *to ^= from);
        save(tx, by, EventId::from_bytes(event), (&mut order, &mut one), ENDED)?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Task {
    order: OrderId,
}

/// Registers what is done beside requests.
pub fn work(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(CAME_BACK, move |job| {
        let state = state.clone();
        async move { follow(&state, job, state.clock.now()).await }
    });
}

async fn follow(state: &State, job: Job, now: Instant) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        ended_by_returns(tx, (now, &Actor::System("warranties")), &Fresh::of(job.id), task.order)
    });
    written.await?;
    Ok(Verdict::Settled)
}

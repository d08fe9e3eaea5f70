//! Commands of the desk on a fulfilment order.

use crate::{
    db::Tx,
    error::{Error, Result},
    events::Payload,
    fulfilment::{
        cancel::{self, Cancellation, within_ceiling},
        ids::{Draw, Fresh},
        model::{CancelRequest, Command, FulfilmentOrder, Pieces, ShippedLine},
        moves::{Moved, Replan, replan_locked},
        second,
        service::{announce, plan, save_states, start},
        store,
        told::{ACCEPTED, CANCEL_REJECTED, CANCEL_REQUESTED, DECLINED, RESCHEDULED, change, pieces_of},
    },
    jobs,
    kernel::{Actor, Instant, Quantity, ids::FulfilmentOrderId},
    orders::{self, OrderDocument},
    stock::Locations,
};

/// Writes what changed of a fulfilment order beside its lines, and tells of it.
fn write(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    draw: &mut Draw<'_>,
    (order, fulfilment): (&mut OrderDocument, &mut FulfilmentOrder),
    happened: impl FnOnce(&FulfilmentOrder) -> Result<(&'static str, Payload)>,
) -> Result<()> {
    fulfilment.advance(fulfilment.state, now);
    store::save_plan(tx, fulfilment)?;
    save_states(tx, now, [&*fulfilment])?;
    orders::save(tx, now, order, &[], 1)?;
    let happened = vec![happened(fulfilment)?];
    announce(tx, (now, now), actor, order, draw, happened)
}

/// Changes when a fulfilment order is due, or its priority; what is not given stays.
///
/// # Errors
/// `not_found`; `state_conflict` when nothing is left to do; `history_before_order`.
pub fn reschedule(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: FulfilmentOrderId,
    (priority, due_at, reason): (Option<i64>, Option<Instant>, Option<&str>),
) -> Result<FulfilmentOrder> {
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    fulfilment.state.takes(Command::Reschedule)?;
    order.check_time(due_at, "/due_at")?;
    fulfilment.priority = priority.unwrap_or(fulfilment.priority);
    fulfilment.due_at = due_at.unwrap_or(fulfilment.due_at);
    // From now on it does not move by itself, and is served by that.
    if due_at.is_some() {
        (fulfilment.due_by_hand, fulfilment.turn_at) = (true, None);
    }
    let happened = |one: &FulfilmentOrder| Ok((RESCHEDULED, change(one, Vec::new(), reason, &[])?));
    write(tx, now, actor, &mut fresh.draw(), (&mut order, &mut fulfilment), happened)?;
    Ok(fulfilment)
}

/// The pieces that a request to cancel is about.
fn asked_for(fulfilment: &FulfilmentOrder, pieces: Option<&[Pieces]>, now: Instant) -> Result<Vec<ShippedLine>> {
    let steps = plan(fulfilment, Command::Cancel, pieces, now)?;
    Ok(pieces_of(fulfilment, &steps, |step| step.cancelled))
}

/// Asks the location not to ship pieces. It may have begun with them, so it is the one to say whether that is still possible:
/// until it does, everything goes on.
///
/// # Errors
/// `not_found`, `line_unknown`, `quantity_exceeded`; `state_conflict` when it was asked already; `ceiling_exceeded` where the caller
/// may not cancel so much.
pub fn request_cancel(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: FulfilmentOrderId,
    (pieces, reason): (Option<&[Pieces]>, &str),
) -> Result<FulfilmentOrder> {
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    fulfilment.state.takes(Command::RequestCancel)?;
    if fulfilment.cancel_request.is_some() {
        return Err(Error::conflict("somebody has asked for that already"));
    }
    let asked = asked_for(&fulfilment, pieces, now)?;
    let amount = cancel::amount(&order, &asked)?.gross;
    within_ceiling(actor, amount)?;
    // What the location agrees to is done without asking anybody again.
    second::pass(tx, (now, actor), &order, cancel::goes_back(&order, amount))?;
    let (pieces, reason, by) = (pieces.map(<[_]>::to_vec), reason.to_owned(), actor.label());
    fulfilment.cancel_request = Some(CancelRequest { pieces, reason: reason.clone(), by, at: now });
    let happened = |one: &FulfilmentOrder| Ok((CANCEL_REQUESTED, change(one, asked, Some(&reason), &[])?));
    write(tx, now, actor, &mut fresh.draw(), (&mut order, &mut fulfilment), happened)?;
    Ok(fulfilment)
}

/// What the location says to a request to cancel.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Whether it will not ship them.
    pub accept: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// Answers a request to cancel. What is accepted is cancelled as if it had been cancelled at once, but for what has left meanwhile;
/// its money is settled.
///
/// # Errors
/// `not_found`; `state_conflict` when nobody has asked for it, or all of it has left or is cancelled.
pub fn answer_cancel(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (fresh, then): (&Fresh, &Fresh),
    id: FulfilmentOrderId,
    answer: &Answer,
) -> Result<FulfilmentOrder> {
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    fulfilment.asked_to_cancel()?;
    let missing = || Error::conflict("nobody has asked to cancel it");
    let request = fulfilment.cancel_request.take().ok_or_else(missing)?;
    if !answer.accept {
        let reason = answer.reason.as_deref();
        let happened = |one: &FulfilmentOrder| Ok((CANCEL_REJECTED, change(one, Vec::new(), reason, &[])?));
        write(tx, now, actor, &mut fresh.draw(), (&mut order, &mut fulfilment), happened)?;
        return Ok(fulfilment);
    }
    // The events of the cancellation tell of it.
    store::save_plan(tx, &fulfilment)?;
    let left = |line_no: i32, most: i64| {
        let line = fulfilment.lines.iter().find(|line| line.line_no == line_no);
        line.map_or(0, |line| line.counts.left_for(Command::Cancel)).min(most)
    };
    let wanted: Vec<(i32, i64)> = match &request.pieces {
        Some(pieces) => pieces.iter().map(|one| (one.line_no, left(one.line_no, one.quantity.get()))).collect(),
        None => fulfilment.lines.iter().map(|line| (line.line_no, left(line.line_no, i64::MAX))).collect(),
    };
    let pieces: Result<Vec<Pieces>> = wanted
        .into_iter()
        .filter(|(_, left)| *left > 0)
        .map(|(line_no, left)| Ok(Pieces { line_no, quantity: Quantity::new(left).map_err(Error::internal)? }))
        .collect();
    let pieces = pieces?;
    if pieces.is_empty() {
        return Err(Error::conflict("all of it has left: reject the request"));
    }
    let what =
        Cancellation { pieces: Some(pieces), reason: request.reason, agreed: Some(id), ..Cancellation::default() };
    cancel::cancel(tx, now, actor, then, order.id, &what)?;
    store::get(tx, id)?.ok_or_else(|| Error::not_found("fulfilment order"))
}

/// Takes a fulfilment order on that waits for it: it can be picked then.
///
/// # Errors
/// `not_found`; `state_conflict` when it does not wait for that.
pub fn accept(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: FulfilmentOrderId,
) -> Result<FulfilmentOrder> {
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    fulfilment.state.takes(Command::Accept)?;
    fulfilment.accept_by.take().ok_or_else(not_waiting)?;
    let happened = |one: &FulfilmentOrder| Ok((ACCEPTED, change(one, Vec::new(), None, &[])?));
    write(tx, now, actor, &mut fresh.draw(), (&mut order, &mut fulfilment), happened)?;
    // What was reported of it before may have waited for that.
    jobs::hasten_keys(tx, now, &orders::after(order.id))?;
    Ok(fulfilment)
}

fn not_waiting() -> Error {
    Error::conflict("it does not wait for its location to accept it")
}

/// Leaves a fulfilment order that waits to be accepted to other locations: it is planned anew without its own. What is nowhere else
/// to be had stays, and is held for `stock`.
///
/// # Errors
/// `not_found`; `state_conflict` when it does not wait for that.
pub fn decline(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: FulfilmentOrderId,
    (reason, locations): (&str, &Locations),
) -> Result<Moved> {
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    let draw = &mut fresh.draw();
    fulfilment.state.takes(Command::Decline)?;
    fulfilment.accept_by.take().ok_or_else(not_waiting)?;
    let happened = |one: &FulfilmentOrder| Ok((DECLINED, change(one, Vec::new(), Some(reason), &[])?));
    write(tx, now, actor, draw, (&mut order, &mut fulfilment), happened)?;
    let what = Replan { declined: true, reason: Some(reason.to_owned()), ..Replan::default() };
    replan_locked(tx, now, (actor, Command::Decline), draw, (&mut order, &mut fulfilment), (&what, locations))
}

/// Declines a fulfilment order that its location has not accepted in time. Nothing happens where somebody has answered meanwhile.
///
/// # Errors
/// What the database says.
pub(super) fn give_up_waiting(
    tx: &mut Tx,
    now: Instant,
    fresh: &Fresh,
    id: FulfilmentOrderId,
    locations: &Locations,
) -> Result<()> {
    let actor = Actor::System("fulfilment");
    let (_, fulfilment) = start(tx, &actor, id)?;
    // What somebody wants cancelled meanwhile is answered first.
    let waits = fulfilment.accept_by.is_some_and(|by| by <= now)
        && fulfilment.cancel_request.is_none()
        && fulfilment.state.takes(Command::Decline).is_ok();
    match waits {
        true => decline(tx, now, &actor, fresh, id, ("it was not accepted in time", locations)).map(|_| ()),
        false => Ok(()),
    }
}

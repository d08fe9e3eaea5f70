//! Taking back what was booked wrongly.

use crate::{
    db::Tx,
    error::{Code, Error, Result},
    events::Payload,
    fulfilment::{
        claimed, crossdock,
        ids::{Draw, Fresh},
        model::{
            Command, Correction, FulfilmentOrder, Pieces, Shipment, ShipmentCommand, ShipmentState, ShippedLine, Step,
        },
        money::{self, Settling},
        parcels::{self, manifests},
        picking, ready,
        service::{
            advance, all_arrived, announce, from_shelf, make_steps, place, plan, save_states, shares, start,
            start_shipment,
        },
        store,
        told::{CORRECTED, TAKEN_BACK, change, parcel, pieces_of},
        tracking::{self, Tracking},
    },
    kernel::{
        Actor, Instant, Scope,
        ids::{FulfilmentOrderId, ShipmentId},
    },
    orders::{self, LineMove, OrderDocument},
    stock::{self, Entry, MovementKind},
};

/// Takes back that pieces were picked or packed: [`Command::Unpick`] or [`Command::Unpack`]. What is put back on the shelf is no more
/// in a parcel either. The stock lies where it lay: a pick moves none, and is noted in the ledger with how many were put back.
///
/// # Errors
/// `not_found`, `state_conflict`, `line_unknown`, `quantity_exceeded`.
pub fn take_back(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: FulfilmentOrderId,
    (command, pieces, reason): (Command, Option<&[Pieces]>, &str),
) -> Result<FulfilmentOrder> {
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    let steps = plan(&fulfilment, command, pieces, now)?;
    let pieces = pieces_of(&fulfilment, &steps, |step| -step.picked.min(step.packed));
    let back = steps.iter().filter(|(_, step)| step.picked < 0).map(|(line_no, step)| (*line_no, -step.picked));
    picking::put_back(tx, now, &fulfilment, back)?;
    advance(tx, now, &mut fulfilment, command, &steps)?;
    let is_ready = ready::follow(tx, now, &order, &mut fulfilment)?;
    let mut happened = vec![(TAKEN_BACK, change(&fulfilment, pieces, Some(reason), &[])?)];
    happened.extend(is_ready);
    orders::save(tx, now, &mut order, &[], place(happened.len()))?;
    announce(tx, (now, now), actor, &order, &mut fresh.draw(), happened)?;
    let shelved = crossdock::taken(&fulfilment, &steps, |step| -step.picked);
    let mut shelved = from_shelf(order.id, &shelved, Some(reason));
    shelved.iter_mut().for_each(|one| one.pieces = -one.pieces);
    stock::note_picked(tx, now, actor, &shelved)?;
    Ok(fulfilment)
}

/// What is taken back of a shipment.
#[derive(Debug, Clone)]
pub struct Correct {
    /// [`ShipmentCommand::Unship`] or [`ShipmentCommand::Undeliver`].
    pub command: ShipmentCommand,
    /// Why.
    pub reason: String,
}

/// Takes back that a shipment has arrived, or that it has left.
///
/// What has not left lies packed at its location again and is allocated to its order; its pieces can be shipped once more. What was
/// captured for it stays captured and counts for the next parcel: nothing is captured twice, and what is cancelled instead is given
/// back like any other. Its tracking number goes on naming the order.
///
/// # Errors
/// `not_found`; `state_conflict` when it has not left or not arrived, or when it has arrived and that is not taken back first;
/// `already_claimed` when pieces of it are claimed or were made good; `quantity_exceeded` when pieces of it have come back meanwhile.
pub fn correct(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: ShipmentId,
    what: &Correct,
) -> Result<Shipment> {
    let (mut order, mut shipment) = start_shipment(tx, actor, id)?;
    let missing = || Error::internal("a shipment without its fulfilment order");
    let mut fulfilment = store::get(tx, shipment.fulfilment_order_id)?.ok_or_else(missing)?;
    let state = shipment.state.apply(what.command)?;
    if what.command == ShipmentCommand::Unship {
        claimed::keep_still(tx, shipment.id)?;
    }
    if manifests::is_handed_over(tx, shipment.id)? && !actor.holds(Scope::FulfilmentSupervise) {
        let detail = "it was handed over to its carrier: that needs the scope `fulfilment:supervise`";
        return Err(Error::problem(Code::ScopeMissing, detail));
    }
    let draw = &mut fresh.draw();
    let (command, reason, by) = (what.command, what.reason.clone(), actor.label());
    shipment.corrections.push(Correction { command, reason, by, at: now });
    shipment.state = state;
    let happened = match command {
        ShipmentCommand::Undeliver => undeliver(tx, now, (&mut order, &mut fulfilment), &mut shipment)?,
        _ => unship(tx, now, (&mut order, &mut fulfilment), &mut shipment)?,
    };
    store::save_details(tx, &shipment)?;
    if command == ShipmentCommand::Unship {
        money::settle(tx, (now, now), &order, draw, &Settling::because("correction"))?;
    }
    announce(tx, (now, now), actor, &order, draw, happened)?;
    if command == ShipmentCommand::Unship {
        orders::invoice_later(tx, now, &order, draw.next())?;
        put_back(tx, now, actor, draw, &fulfilment, &shipment, &what.reason)?;
    }
    Ok(shipment)
}

/// Takes back what was said last of a shipment: that it has arrived, or else that it has left.
///
/// # Errors
/// As [`correct`].
pub fn undo(tx: &mut Tx, now: Instant, actor: &Actor, fresh: &Fresh, id: ShipmentId, reason: &str) -> Result<()> {
    let (_, shipment) = start_shipment(tx, actor, id)?;
    let command = match shipment.state {
        ShipmentState::Delivered => ShipmentCommand::Undeliver,
        ShipmentState::Shipped | ShipmentState::Corrected => ShipmentCommand::Unship,
    };
    correct(tx, now, actor, fresh, id, &Correct { command, reason: reason.to_owned() }).map(|_| ())
}

pub(in crate::fulfilment) type Happened = Vec<(&'static str, Payload)>;

/// Writes down that a shipment of a locked order has not arrived after all, whose state and corrections the caller has set; gives what has
/// happened, which is one event.
pub(in crate::fulfilment) fn undeliver(
    tx: &mut Tx,
    now: Instant,
    (order, fulfilment): (&mut OrderDocument, &mut FulfilmentOrder),
    shipment: &mut Shipment,
) -> Result<Happened> {
    // Where it is then, by what else was heard of it.
    let (place, by) = tracking::whereabouts(&tracking::forget_arrival(tx, shipment.id)?);
    if !store::undeliver(tx, shipment.id, place)? {
        return Err(changed());
    }
    (shipment.tracking, shipment.delivered_at) = (place, None);
    tracking::follow(tx, now, order, shipment, (place, by))?;
    fulfilment.advance(fulfilment.state.apply(Command::Undeliver, fulfilment.counts(), false)?, now);
    save_states(tx, now, [&*fulfilment])?;
    let back =
        |line: &ShippedLine| LineMove { line_no: line.line_no, delivered: -line.quantity, ..LineMove::default() };
    let moves: Vec<LineMove> = shipment.lines.iter().map(back).collect();
    orders::save(tx, now, order, &moves, 1)?;
    Ok(vec![(CORRECTED, parcel(order, shipment)?)])
}

fn unship(
    tx: &mut Tx,
    now: Instant,
    (order, fulfilment): (&mut OrderDocument, &mut FulfilmentOrder),
    shipment: &mut Shipment,
) -> Result<Happened> {
    if !store::unship(tx, shipment.id, now)? {
        return Err(changed());
    }
    shipment.corrected_at = Some(now);
    // What has not left is neither lost nor coming back.
    tracking::follow(tx, now, order, shipment, (Tracking::Announced, None))?;
    manifests::strike(tx, shipment.id)?;
    let steps: Vec<(i32, Step)> =
        shipment.lines.iter().map(|line| (line.line_no, Step { shipped: -line.quantity, ..Step::default() })).collect();
    make_steps(fulfilment, &steps);
    let arrived = all_arrived(&store::shipments(tx, order.id)?, fulfilment.id);
    fulfilment.advance(fulfilment.state.apply(Command::Unship, fulfilment.counts(), arrived)?, now);
    let moves: Vec<_> = steps.iter().map(|(line_no, step)| (fulfilment.id, *line_no, *step)).collect();
    store::move_lines(tx, &moves)?;
    parcels::come_back(tx, now, fulfilment, shipment.id)?;
    save_states(tx, now, [&*fulfilment])?;
    let back = |line: &ShippedLine| {
        let (line_no, pieces) = (line.line_no, line.quantity);
        LineMove { line_no, shipped: -pieces, allocated: pieces, ..LineMove::default() }
    };
    let moves: Vec<LineMove> = shipment.lines.iter().map(back).collect();
    // All of it may lie packed for its customer again.
    let is_ready = ready::follow(tx, now, order, fulfilment)?;
    let told =
        change(fulfilment, shipment.lines.clone(), shipment.corrections.last().map(|one| one.reason.as_str()), &[])?;
    orders::save(tx, now, order, &moves, place(2 + usize::from(is_ready.is_some())))?;
    let mut happened = vec![(CORRECTED, parcel(order, shipment)?), (TAKEN_BACK, told)];
    happened.extend(is_ready);
    Ok(happened)
}

fn changed() -> Error {
    Error::internal("a shipment has changed while its order was locked")
}

/// Puts what has not left back: it lies there and belongs to its order, as before.
fn put_back(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    draw: &mut Draw<'_>,
    fulfilment: &FulfilmentOrder,
    shipment: &Shipment,
    reason: &str,
) -> Result<()> {
    let tracked = shares(fulfilment, &shipment.lines).into_iter().filter(|share| share.tracked);
    let entry = |share: stock::Share| Entry {
        allocated: share.quantity,
        reason: Some(reason.to_owned()),
        ..Entry::goods((share.variant, share.location), MovementKind::Correction, share.quantity)
    };
    let entries: Vec<Entry> = tracked.map(entry).collect();
    let events = draw.many(entries.len());
    let reference = fulfilment.order_id.to_string();
    stock::book(tx, now, actor, &entries, (Some(&reference), now), &events).map(|_| ())
}

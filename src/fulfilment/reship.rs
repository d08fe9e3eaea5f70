//! What was lost on its way and is sent again: its parcel counts as one that has not left, and another fulfilment order ships the pieces,
//! from wherever they are to be had now.

use std::collections::BTreeMap;

use super::{
    corrections::undeliver,
    facts,
    ids::{Draw, Fresh},
    missed,
    model::{Command, Correction, FulfilmentOrder, Shipment, ShipmentCommand, ShipmentState, ShippedLine, Step},
    moves::needs,
    opening::work_of,
    promises, ready,
    service::{all_arrived, announce, make_steps, of_shipment, open, place, save_states, start_shipment},
    store,
    told::{CORRECTED, MOVED, OPENED, change, parcel, pieces_of, work_payload},
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    kernel::{
        Actor, Instant,
        ids::{FulfilmentOrderId, LocationId, ShipmentId},
    },
    orders::{self, LineMove, OrderDocument},
    stock::{self, Booking, Locations, sourcing::Sources},
};

/// Why, as the events say it.
const REASON: &str = "it was lost and is sent again";

/// Opens fulfilment orders for the goods of a parcel of a locked order that was lost: they are allocated where they are to be had. What was
/// captured for them stays captured, and counts for the parcel in which they leave. Gives them, and what is allocated: the caller applies
/// it last.
///
/// # Errors
/// `out_of_stock` and `location_inactive` where the goods are not to be had; `state_conflict` when the parcel has arrived or counts as one
/// that has not left, or its order was cancelled; `quantity_exceeded` when pieces of it have come back meanwhile.
pub(super) fn reship(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    draw: &mut Draw<'_>,
    (order, shipment): (&mut OrderDocument, &mut Shipment),
    locations: &Locations,
) -> Result<(Vec<FulfilmentOrderId>, Booking)> {
    order.state.apply(orders::Command::Ship)?;
    if shipment.state != ShipmentState::Shipped {
        return Err(Error::conflict(format!("the parcel is {}: nothing of it is sent again", shipment.state)));
    }
    let mut from = of_shipment(tx, shipment)?;
    let step = |line: &ShippedLine| {
        let own = from.lines.iter().find(|own| own.line_no == line.line_no);
        let own = own.ok_or_else(|| Error::internal("a parcel of what its fulfilment order has not"))?;
        Ok((line.line_no, own.counts.step(Command::Reship, line.quantity)?))
    };
    let steps: Vec<(i32, Step)> = shipment.lines.iter().map(step).collect::<Result<_>>()?;
    let needs = needs(tx, &from, &steps)?;
    let facts = facts::of(tx, now, (order, from.delivery_key()), locations)?;
    let reference = order.id.to_string();
    let works = store::of_order(tx, order.id)?;
    let barred = missed::standing(tx, &works)?;
    let sources = Sources::of(locations, &facts).barring(&barred);
    let booking =
        stock::allocate(tx, now, actor, &needs, sources, &reference, now).map_err(|error| error.at("/resolution"))?;
    take_back(tx, now, actor, shipment)?;
    make_steps(&mut from, &steps);
    let arrived = all_arrived(&store::shipments(tx, order.id)?, from.id);
    from.advance(from.state.apply(Command::Reship, from.counts(), arrived)?, now);
    let moves: Vec<_> = steps.iter().map(|(line_no, step)| (from.id, *line_no, *step)).collect();
    store::move_lines(tx, &moves)?;
    save_states(tx, now, [&from])?;
    let opened = opened(now, (order, &from), (&booking, locations), draw)?;
    open(tx, &opened, booking.sourcing())?;
    let ids: Vec<FulfilmentOrderId> = opened.iter().map(|one| one.id).collect();
    let moves = shipment.lines.iter().map(|line| LineMove {
        line_no: line.line_no,
        shipped: -line.quantity,
        allocated: line.quantity,
        ..LineMove::default()
    });
    let moves: Vec<LineMove> = moves.collect();
    let is_ready = ready::follow(tx, now, order, &mut from)?;
    orders::save(tx, now, order, &moves, place(opened.len() + 2 + usize::from(is_ready.is_some())))?;
    let moved = pieces_of(&from, &steps, |step| step.moved);
    let mut happened = vec![(CORRECTED, parcel(order, shipment)?), (MOVED, change(&from, moved, Some(REASON), &ids)?)];
    for one in &opened {
        happened.push((OPENED, work_payload(order, one, Vec::new())?));
    }
    happened.extend(is_ready);
    announce(tx, (now, now), actor, order, draw, happened)?;
    // What was invoiced with the parcel is taken back, as of any that has not left.
    orders::invoice_later(tx, now, order, draw.next())?;
    // When it arrives now, and whether it waits for goods.
    promises::await_goods(tx, now, order.id)?;
    Ok((ids, booking))
}

/// Sends pieces of a parcel again that somebody says are lost, broken, missing or others, whatever its carrier says and whether the rest has
/// arrived: they count as a parcel of their own, which has not left. Gives the fulfilment orders, and what is allocated for them: the caller
/// applies it last.
///
/// # Errors
/// As where a carrier's claim is settled so; `not_found`; `quantity_exceeded` where fewer are in the parcel.
pub fn reship_pieces(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    (id, pieces): (ShipmentId, &BTreeMap<i32, i64>),
    locations: &Locations,
) -> Result<(Vec<FulfilmentOrderId>, Booking)> {
    let (mut order, shipment) = start_shipment(tx, actor, id)?;
    if shipment.corrected_at.is_some() {
        return Err(Error::conflict(format!("the parcel is {}: nothing of it is sent again", shipment.state)));
    }
    let mut draw = fresh.draw();
    let mut part = split_off(tx, now, shipment, pieces, draw.next())?;
    if part.state == ShipmentState::Delivered {
        let (command, by) = (ShipmentCommand::Undeliver, actor.label());
        part.corrections.push(Correction { command, reason: REASON.to_owned(), by, at: now });
        part.state = part.state.apply(command)?;
        let mut from = of_shipment(tx, &part)?;
        let happened = undeliver(tx, now, (&mut order, &mut from), &mut part)?;
        store::save_details(tx, &part)?;
        announce(tx, (now, now), actor, &order, &mut draw, happened)?;
    }
    reship(tx, now, actor, &mut draw, (&mut order, &mut part), locations)
}

/// Makes pieces of a parcel one of their own, which left and arrived with it; all of it where they are all. Both together are what it was.
fn split_off(
    tx: &mut Tx,
    now: Instant,
    mut shipment: Shipment,
    pieces: &BTreeMap<i32, i64>,
    id: ShipmentId,
) -> Result<Shipment> {
    let (mut rest, mut own) = (Vec::with_capacity(shipment.lines.len()), Vec::with_capacity(pieces.len()));
    let mut wanted = pieces.clone();
    for line in &shipment.lines {
        let taken = wanted.get_mut(&line.line_no).map_or(0, |left| {
            let taken = line.quantity.min(*left);
            *left -= taken;
            taken
        });
        for (to, quantity) in [(&mut own, taken), (&mut rest, line.quantity - taken)] {
            if quantity > 0 {
                to.push(ShippedLine { quantity, ..line.clone() });
            }
        }
    }
    if let Some((line_no, missing)) = wanted.into_iter().find(|(_, left)| *left > 0) {
        let detail = format!("{missing} of line {line_no} more than the parcel has had");
        return Err(Error::problem(Code::QuantityExceeded, detail).with("line_no", line_no));
    }
    if rest.is_empty() {
        return Ok(shipment);
    }
    let part = Shipment {
        id,
        lines: own,
        // The number goes on naming the parcel that has the rest.
        tracking_number: None,
        tracking_url: None,
        packages: Vec::new(),
        scans: Vec::new(),
        corrections: Vec::new(),
        recorded_at: now,
        ..shipment.clone()
    };
    shipment.lines = rest;
    store::save_details(tx, &shipment)?;
    store::insert_shipment(tx, &part)?;
    Ok(part)
}

/// Notes that the parcel counts as one that has not left: no carrier brings it, and nothing that is heard of it later counts.
fn take_back(tx: &mut Tx, now: Instant, actor: &Actor, shipment: &mut Shipment) -> Result<()> {
    if !store::unship(tx, shipment.id, now)? {
        return Err(Error::internal("a shipment has changed while its order was locked"));
    }
    let (command, by) = (ShipmentCommand::Unship, actor.label());
    shipment.corrections.push(Correction { command, reason: REASON.to_owned(), by, at: now });
    shipment.state = shipment.state.apply(command)?;
    shipment.corrected_at = Some(now);
    store::save_details(tx, shipment)
}

/// The fulfilment orders that ship the pieces again: due when their locations can ship them.
fn opened(
    now: Instant,
    (order, from): (&OrderDocument, &FulfilmentOrder),
    (booking, locations): (&Booking, &Locations),
    draw: &mut Draw<'_>,
) -> Result<Vec<FulfilmentOrder>> {
    let due_at = |id: LocationId| locations.get(id).map_or(from.due_at, |place| place.due_at(now));
    let ids: Vec<FulfilmentOrderId> = draw.many(booking.shares().len());
    let (shares, held, keep) = (booking.shares(), booking.held(), booking.shelf_lives());
    let mut opened = work_of(now, order, (shares, &held, &keep), due_at, &ids)?;
    for one in &mut opened {
        one.priority = from.priority;
        one.taken_from = vec![from.id];
        (one.promised_until, one.told_until) = (from.promised_until, from.told_until);
        one.accept_by = locations.get(one.location_id).ok().and_then(|place| place.accept_by(now));
    }
    Ok(opened)
}

//! Commands on inbound shipments. What becomes of goods at the dock, and what is booked into stock, the caller does
//! ([`crate::fulfilment::crossdock`]).

use std::collections::BTreeSet;

use super::{
    back::{Back, CorrectedPieces, InboundCorrection},
    forms::{NewInbound, NewInboundLine},
    model::{
        Docked, Expected, HandlingUnit, InboundCommand, InboundLine, InboundShipment, InboundState, PurchaseOrder,
        PurchaseState, Supply, Taken, UnitState,
    },
    purchase::{self, line_no},
    store,
    told::{self, Moved},
};
use crate::{
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    kernel::{
        Actor, Instant,
        ids::{EventId, InboundShipmentId, LocationId, VariantId},
    },
    stock::{self, Locations, outlook},
};

// What is asked for as it stands in the tables.
pub(super) use super::store::page;
pub(in crate::fulfilment) use super::store::{
    at_dock, by_sscc as unit_by_sscc, lots_of, match_lines, open_with, received_between,
};

/// Announces a shipment.
///
/// # Errors
/// `not_found` for the location or the purchase order, `scope_missing`, `state_conflict` when that expects nothing, `sku_unknown`,
/// `line_unknown`, `invalid_value`; `duplicate` when a handling unit is known already.
pub(super) fn announce(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    locations: &Locations,
    (id, event): (InboundShipmentId, EventId),
    new: &NewInbound,
) -> Result<InboundShipment> {
    new.check()?;
    let order = new.purchase_order_id.map(|order| purchase::lock(tx, actor, order)).transpose();
    let order = order.map_err(|error| error.at("/purchase_order_id"))?;
    if let Some(order) = order.as_ref().filter(|order| !takes_shipments(order.state)) {
        return Err(Error::conflict(format!("the purchase order is {}", order.state)).at("/purchase_order_id"));
    }
    let location = match (&new.location, &order) {
        (Some(reference), _) => stock::place(actor, locations, reference, "")?.id,
        (None, Some(order)) => order.location_id,
        (None, None) => {
            let detail = "where does it come to? Name the location, or a purchase order";
            return Err(Error::problem(Code::MissingField, detail).at("/location"));
        }
    };
    let variants = purchase::variants(tx, new.lines.iter().map(|line| &*line.sku))?;
    let line = |(place, (line, variant)): (usize, (&NewInboundLine, VariantId))| -> Result<InboundLine> {
        let of = order.as_ref().map(|order| order_line(order, line, variant, place)).transpose()?.flatten();
        Ok(InboundLine {
            line_no: line_no(place),
            variant_id: variant,
            sku: line.sku.to_string(),
            sscc: line.sscc.as_ref().map(ToString::to_string),
            lot: line.lot.as_ref().map(ToString::to_string),
            best_before: line.best_before,
            purchase_order_line: of,
            expected: line.quantity.get(),
            received: 0,
            surplus: 0,
            short: 0,
            matched: 0,
            docked: 0,
        })
    };
    let lines: Vec<InboundLine> = new.lines.iter().zip(variants).enumerate().map(line).collect::<Result<_>>()?;
    let units: BTreeSet<String> = lines.iter().filter_map(|line| line.sscc.clone()).collect();
    let unit = |sscc| HandlingUnit { sscc, state: UnitState::Expected, received_at: None, left_at: None };
    let supplier = new.supplier.as_ref().map(ToString::to_string);
    let shipment = InboundShipment {
        id,
        reference: new.reference.as_ref().map(ToString::to_string),
        supplier: supplier.or_else(|| order.as_ref().map(|order| order.supplier.clone())),
        purchase_order_id: new.purchase_order_id,
        location_id: location,
        state: InboundState::Announced,
        expected_at: new.expected_at,
        arrived_at: None,
        received_at: None,
        over_tolerance_percent: new.over_tolerance_percent,
        reason: None,
        lines,
        units: units.into_iter().map(unit).collect(),
        corrections: Vec::new(),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let known =
        || Error::problem(Code::Duplicate, "a handling unit of it is expected or has come already").at("/lines");
    on_duplicate(store::insert(tx, &shipment), known)?;
    if let Some(order) = shipment.purchase_order_id {
        let announced = shipment.lines.iter().filter_map(|line| Some((line.purchase_order_line?, line.expected, 0)));
        purchase::count(tx, order, announced)?;
    }
    foresee(tx, &shipment)?;
    told::tell(tx, (now, now), actor, (event, told::ANNOUNCED), &shipment, &[])?;
    Ok(shipment)
}

/// Tells stock what is still to come of a shipment, instead of what was said of it before.
fn foresee(tx: &mut Tx, shipment: &InboundShipment) -> Result<()> {
    let lines = shipment.lines.iter().filter(|_| shipment.state.is_open());
    let (location, expected_at) = (shipment.location_id, shipment.expected_at);
    let expected =
        lines.map(|line| outlook::Expected { key: (line.variant_id, location), expected_at, quantity: line.left() });
    outlook::expect(tx, shipment.updated_at, &shipment.id.to_string(), &expected.collect::<Vec<_>>())
}

const fn takes_shipments(state: PurchaseState) -> bool {
    matches!(state, PurchaseState::Ordered | PurchaseState::PartiallyReceived | PurchaseState::Received)
}

/// The line of a purchase order that an announced one is of: the named one, or the first of its SKU.
fn order_line(order: &PurchaseOrder, line: &NewInboundLine, variant: VariantId, place: usize) -> Result<Option<i32>> {
    let Some(named) = line.purchase_order_line else {
        return Ok(order.lines.iter().find(|line| line.variant_id == variant).map(|line| line.line_no));
    };
    match order.lines.iter().any(|line| line.line_no == named && line.variant_id == variant) {
        true => Ok(Some(named)),
        false => {
            let detail = format!("the purchase order has no line {named} of `{}`", &*line.sku);
            let error = Error::problem(Code::LineUnknown, detail);
            Err(error.at(format!("/lines/{place}/purchase_order_line")))
        }
    }
}

/// A shipment that the actor may see.
///
/// # Errors
/// `not_found`.
pub fn get(tx: &mut Tx, actor: &Actor, id: InboundShipmentId) -> Result<InboundShipment> {
    let found = store::get(tx, id)?.filter(|one| actor.sees_location(one.location_id));
    found.ok_or_else(|| Error::not_found("inbound shipment"))
}

/// The same, locked until the end of the transaction, for those who may book goods there.
///
/// # Errors
/// `not_found`, `scope_missing`.
pub(in crate::fulfilment) fn lock(tx: &mut Tx, actor: &Actor, id: InboundShipmentId) -> Result<InboundShipment> {
    let seen = get(tx, actor, id)?;
    stock::keeps(actor, seen.location_id)?;
    store::lock(tx, id)?.ok_or_else(|| Error::not_found("inbound shipment"))
}

fn save(
    tx: &mut Tx,
    times: (Instant, Instant),
    actor: &Actor,
    event: (EventId, &'static str),
    shipment: &mut InboundShipment,
    moved: &[Moved],
) -> Result<()> {
    (shipment.version, shipment.updated_at) = (shipment.version + 1, times.0);
    if !store::save(tx, shipment)? {
        return Err(Error::internal("an inbound shipment has changed while it was locked"));
    }
    foresee(tx, shipment)?;
    told::tell(tx, times, actor, event, shipment, moved)
}

/// Notes that a locked shipment stands at the dock.
///
/// # Errors
/// `state_conflict`.
pub(in crate::fulfilment) fn arrive(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    event: EventId,
    shipment: &mut InboundShipment,
) -> Result<()> {
    shipment.state = shipment.state.apply(InboundCommand::Arrive, false)?;
    shipment.arrived_at = Some(now);
    save(tx, (now, now), actor, (event, told::ARRIVED), shipment, &[])
}

/// Expects a locked shipment at another time.
///
/// # Errors
/// `state_conflict`.
pub(in crate::fulfilment) fn reschedule(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    event: EventId,
    shipment: &mut InboundShipment,
    expected_at: Instant,
) -> Result<()> {
    shipment.state = shipment.state.apply(InboundCommand::Reschedule, false)?;
    shipment.expected_at = expected_at;
    save(tx, (now, now), actor, (event, told::RESCHEDULED), shipment, &[])
}

/// Notes that goods of a locked shipment have come, and which of them stay at the dock. `events` are ids for two events.
///
/// # Errors
/// `state_conflict`; `duplicate` for a handling unit that has come before.
pub(in crate::fulfilment) fn receive(
    tx: &mut Tx,
    (now, occurred_at): (Instant, Instant),
    actor: &Actor,
    events: [EventId; 2],
    shipment: &mut InboundShipment,
    (taken, docked): (&[Taken], &[Docked]),
) -> Result<Vec<String>> {
    let [event, of_order] = events;
    if !store::take(tx, shipment.id, taken, docked)? {
        return Err(Error::internal("an inbound line has changed while its shipment was locked"));
    }
    shipment.after(taken, docked, occurred_at);
    let units = shipment.units_come();
    let stages = (UnitState::Expected, UnitState::Received);
    if !store::move_units(tx, occurred_at, shipment.id, &units, stages)? {
        return Err(Error::problem(Code::Duplicate, "a handling unit has come already"));
    }
    for unit in shipment.units.iter_mut().filter(|unit| units.contains(&unit.sscc)) {
        (unit.state, unit.received_at) = (UnitState::Received, Some(occurred_at));
    }
    shipment.state = shipment.state.apply(InboundCommand::Receive, shipment.is_whole())?;
    let line = |one: &Taken| shipment.lines.iter().find(|line| line.line_no == one.line_no);
    let moved = taken
        .iter()
        .filter_map(|one| Some(Moved { line_no: one.line_no, sku: line(one)?.sku.clone(), quantity: one.quantity }));
    let moved: Vec<Moved> = moved.collect();
    if let Some(order) = shipment.purchase_order_id {
        let come = taken.iter().filter_map(|one| Some((line(one)?.purchase_order_line?, one.surplus, one.quantity)));
        let come: Vec<_> = come.collect();
        purchase::received(tx, (now, actor), of_order, order, come.into_iter())?;
    }
    save(tx, (now, occurred_at), actor, (event, told::RECEIVED), shipment, &moved)?;
    Ok(units)
}

/// Notes that goods of a locked shipment have not come after all: they are expected again, where the shipment is. What of them was meant
/// for orders is let go before. `events` are ids for two events.
///
/// # Errors
/// `state_conflict` when nothing was received, or a handling unit has left again.
pub(in crate::fulfilment) fn take_back(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    events: [EventId; 2],
    shipment: &mut InboundShipment,
    (back, reason): (&[Back], &str),
) -> Result<Vec<String>> {
    let [event, of_order] = events;
    let (closed, units) = (shipment.state == InboundState::Closed, shipment.units_back(back));
    shipment.before(back, &units);
    if !store::put_back(tx, shipment.id, back, closed)? {
        return Err(Error::internal("an inbound line has changed while its shipment was locked"));
    }
    if !store::expect_units(tx, shipment.id, &units, closed)? {
        return Err(Error::conflict("a handling unit of it has left again"));
    }
    shipment.state = shipment.state.corrected(shipment.standing())?;
    let (by, reason) = (actor.label(), reason.to_owned());
    let lines = back.iter().map(|one| CorrectedPieces { line_no: one.line_no, quantity: one.quantity }).collect();
    shipment.corrections.push(InboundCorrection { at: now, by, reason, lines, units: units.clone() });
    let line = |one: &Back| shipment.lines.iter().find(|line| line.line_no == one.line_no);
    let moved = back
        .iter()
        .filter_map(|one| Some(Moved { line_no: one.line_no, sku: line(one)?.sku.clone(), quantity: one.quantity }));
    let moved: Vec<Moved> = moved.collect();
    if let Some(order) = shipment.purchase_order_id {
        let less = back.iter().filter_map(|one| {
            let announced = if closed { one.quantity } else { one.surplus };
            Some((line(one)?.purchase_order_line?, -announced, -one.quantity))
        });
        purchase::corrected(tx, (now, actor), of_order, order, less.collect::<Vec<_>>().into_iter())?;
    }
    save(tx, (now, now), actor, (event, told::CORRECTED), shipment, &moved)?;
    Ok(units)
}

/// Gives up what is left of a locked shipment. Nothing of that must be matched any more.
///
/// # Errors
/// `state_conflict`.
pub(in crate::fulfilment) fn close(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    event: EventId,
    shipment: &mut InboundShipment,
    reason: &str,
) -> Result<()> {
    shipment.state = shipment.state.apply(InboundCommand::Close, false)?;
    give_up(tx, (now, actor), (event, told::CLOSED), shipment, reason)
}

/// Notes that a locked shipment does not come. Nothing of it must be matched any more.
///
/// # Errors
/// `state_conflict`.
pub(in crate::fulfilment) fn cancel(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    event: EventId,
    shipment: &mut InboundShipment,
    reason: &str,
) -> Result<()> {
    shipment.state = shipment.state.apply(InboundCommand::Cancel, false)?;
    give_up(tx, (now, actor), (event, told::CANCELLED), shipment, reason)
}

fn give_up(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    event: (EventId, &'static str),
    shipment: &mut InboundShipment,
    reason: &str,
) -> Result<()> {
    store::give_up(tx, shipment.id)?;
    if let Some(order) = shipment.purchase_order_id {
        // What the supplier did not send is expected of the order again.
        let not_come = shipment.lines.iter().filter_map(|line| Some((line.purchase_order_line?, -line.left(), 0)));
        purchase::count(tx, order, not_come)?;
    }
    for line in &mut shipment.lines {
        line.short = line.expected + line.surplus - line.received;
        line.matched = 0;
    }
    for unit in shipment.units.iter_mut().filter(|unit| unit.state == UnitState::Expected) {
        unit.state = UnitState::Missing;
    }
    shipment.reason = Some(reason.to_owned());
    save(tx, (now, now), actor, event, shipment, &[])
}

/// Notes that handling units have left again, unopened.
///
/// # Errors
/// `state_conflict` when one is not there.
pub(in crate::fulfilment) fn units_passed_on(
    tx: &mut Tx,
    now: Instant,
    id: InboundShipmentId,
    units: &[String],
) -> Result<()> {
    match store::move_units(tx, now, id, units, (UnitState::Received, UnitState::PassedOn))? {
        true => Ok(()),
        false => Err(Error::conflict("the handling unit is not at the dock")),
    }
}

/// What is still expected of variants, by when it comes: of shipments that were announced, and of what is ordered and not
/// announced yet. One statement.
///
/// # Errors
/// What the database says.
pub fn expected(tx: &mut Tx, variants: &[VariantId]) -> Result<Vec<Expected>> {
    if variants.is_empty() { Ok(Vec::new()) } else { store::expected(tx, variants) }
}

/// What is free of what comes to a location.
pub(in crate::fulfilment) fn free(tx: &mut Tx, location: LocationId) -> Result<Vec<Supply>> {
    // So many lines are looked at: a plan reads them whole.
    store::supplies(tx, location, 10_000)
}

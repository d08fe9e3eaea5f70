//! When what waits for goods is due: it moves with them, unless somebody has said when.

use std::collections::HashMap;

use super::{
    model::Line,
    service::{Knowing, move_promise},
};
use crate::{
    carts::{self, Origin, Promise},
    channels::Channel,
    db::Tx,
    error::Result,
    fulfilment::{
        crossdock,
        ids::Draw,
        model::FulfilmentOrder,
        service::{announce, place, save_states},
        store,
        told::{RESCHEDULED, change},
    },
    kernel::{
        Actor, Instant,
        ids::{FulfilmentOrderId, LocationId},
        local,
    },
    orders::{self, OrderDocument},
    stock::Locations,
};

/// When a fulfilment order is due by what is known of the goods it waits for. What it waited for and is here leaves from now on; where
/// nobody knows when something comes, nothing moves. What its supplier ships is due no sooner than they have said.
fn due(
    knowing: Knowing<'_>,
    channel: &Channel,
    order: &OrderDocument,
    (work, waiting): (&FulfilmentOrder, &HashMap<Line, Option<Instant>>),
) -> Instant {
    let own: Option<Vec<Instant>> =
        work.lines.iter().filter_map(|line| waiting.get(&(work.id, line.line_no))).copied().collect();
    let at = |comes| {
        let from = Origin { location: work.location_id, comes: Some(comes) };
        carts::due_at(channel, (knowing.locations, from), order.placed_at)
    };
    let due = match own.map(|own| own.into_iter().max()) {
        None => work.due_at,
        Some(Some(comes)) => at(comes),
        Some(None) => work.due_at.min(at(knowing.now)),
    };
    work.supplier_ships_at.map_or(due, |said| due.max(said))
}

/// Moves when an order's open fulfilment orders are due with the goods that they wait for, and tells so. At most four statements, none
/// where all stays.
///
/// # Errors
/// What the database says.
pub(super) fn follow(
    tx: &mut Tx,
    knowing: Knowing<'_>,
    draw: &mut Draw<'_>,
    (order, channel): (&mut OrderDocument, &Channel),
    (works, waiting): (&mut [FulfilmentOrder], &HashMap<Line, Option<Instant>>),
) -> Result<()> {
    let mut moved: Vec<&mut FulfilmentOrder> = Vec::new();
    for work in works.iter_mut().filter(|work| !work.due_by_hand) {
        let due = due(knowing, channel, order, (work, waiting));
        if due != work.due_at {
            work.due_at = due;
            moved.push(work);
        }
    }
    if moved.is_empty() {
        return Ok(());
    }
    let why = "its goods come at another time";
    write(tx, knowing.now, draw, order, (moved, why))
}

/// Writes when fulfilment orders are due now, and tells so.
fn write(
    tx: &mut Tx,
    now: Instant,
    draw: &mut Draw<'_>,
    order: &mut OrderDocument,
    (mut moved, why): (Vec<&mut FulfilmentOrder>, &str),
) -> Result<()> {
    for work in &mut moved {
        work.advance(work.state, now);
    }
    let all: Vec<(FulfilmentOrderId, Instant)> = moved.iter().map(|work| (work.id, work.due_at)).collect();
    store::save_due(tx, &all)?;
    save_states(tx, now, moved.iter().map(|work| &**work))?;
    crossdock::follow_due(tx, &all)?;
    let told = moved.iter().map(|work| Ok((RESCHEDULED, change(work, Vec::new(), Some(why), &[])?)));
    let told = told.collect::<Result<Vec<_>>>()?;
    orders::save(tx, now, order, &[], place(told.len()))?;
    announce(tx, (now, now), &REVIEWER, order, draw, told)
}

/// Lets a fulfilment order be due when its supplier says that they ship it, where that is later than it was due; the promise of its
/// delivery is moved with it. Said again, it moves both again.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn supplier_ships_at(
    tx: &mut Tx,
    now: Instant,
    draw: &mut Draw<'_>,
    (order, work): (&mut OrderDocument, &mut FulfilmentOrder),
    (channel, locations, at): (&Channel, &Locations, Instant),
) -> Result<()> {
    if work.supplier_ships_at != Some(at) {
        work.supplier_ships_at = Some(at);
        store::save_plan(tx, work)?;
    }
    let due = at.max(work.turn_at.unwrap_or(work.due_at));
    if !work.due_by_hand && due != work.due_at {
        work.turn_at = work.turn_at.or(Some(work.due_at));
        work.due_at = due;
        write(tx, now, draw, order, (vec![&mut *work], "its supplier ships it at another time"))?;
    }
    let zone = |place: LocationId| locations.get(place).map_or(channel.settings.time_zone.0, |one| one.time_zone.0);
    let number = work.number();
    let Some(delivery) = order.deliveries.get(number) else { return Ok(()) };
    let Some(was) = delivery.promised_now() else { return Ok(()) };
    let others = store::of_order(tx, order.id)?;
    let others = others.iter().filter(|one| one.id != work.id && one.number() == number && one.state.is_open());
    // It is due at the end of a day, which is the beginning of the next.
    let leaves = others.map(|one| local::day_of(zone(one.location_id), one.due_at.plus_seconds(-1)));
    let first = delivery.promise.unwrap_or(was).ships_by;
    let ships_by = leaves.chain([first, local::day_of(zone(work.location_id), at)]).max().unwrap_or(first);
    let is = Promise::leaving(ships_by, was.way());
    move_promise(tx, now, draw, (order, channel, number), (Some(was), Some(is)))
}

/// Who looks.
pub(super) const REVIEWER: Actor = Actor::System("promises");

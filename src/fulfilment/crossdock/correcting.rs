//! A receipt that was booked wrongly is taken back: what of it was meant for orders is let go, the goods are booked out, and what has
//! not come is expected again. Orders that were given the goods since and have not picked them are short again: the job that the booking
//! leaves plans them anew ([`crate::fulfilment::shortages`]).
//!
//! The shipment is locked first, then the dock, lots and stock levels last: as when goods come.

use std::collections::BTreeMap;

use super::{
    model::{DockMatch, DockTask, MatchState, TaskKind, TaskState},
    receiving::task,
    service::{self, Doing},
    standing::{self, GoesBack},
    store,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    fulfilment::{
        ids::Draw,
        inbound::{self, Back, InboundLine, InboundShipment, InboundState, WrongReceipt},
    },
    kernel::{
        Id,
        ids::{DockTaskId, InboundShipmentId},
        take_up_to,
    },
    stock::{self, Entry, LevelKey, MovementKind, lots},
};

/// Takes back that goods of a shipment were received. Orders that have them and have not picked them wait again; what was picked, stands at
/// the dock for others, is held by a cart or has left can not be taken back.
///
/// # Errors
/// `not_found`, `scope_missing`, `line_unknown`, `quantity_exceeded`; `state_conflict` where nothing was received, a handling unit has
/// left again, or goods were picked or loaded for orders; `out_of_stock` where a cart holds them, `stock_negative` where they are gone.
pub(super) fn correct(
    tx: &mut Tx,
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    (id, wrong): (InboundShipmentId, &WrongReceipt),
) -> Result<InboundShipment> {
    let mut shipment = inbound::lock(tx, doing.actor, id)?;
    let back = shipment.plan_back(wrong)?;
    let dock = store::lock_hub(tx, shipment.location_id)?.is_some();
    let came = in_all(&shipment);
    // Lots are locked before levels, and of these some where it is noted what is to come.
    lots::lock_moved(tx, &id.to_string())?;
    let freed = let_crossing_go(tx, doing, draw, &mut shipment, &back)?;
    let events = [draw.next(), draw.next()];
    let by = (doing.now, doing.actor);
    inbound::take_back(tx, by, events, &mut shipment, (&back, &wrong.reason))?;
    if dock {
        shrink_put_away(tx, doing, &shipment, &back)?;
        unload_again(tx, doing, &shipment)?;
    }
    book_out(tx, doing, draw, &shipment, (&back, &freed, &came), &wrong.reason)?;
    Ok(shipment)
}

fn line_of(shipment: &InboundShipment, line_no: i32) -> Result<&InboundLine> {
    let missing = || Error::internal("an inbound line has gone");
    shipment.lines.iter().find(|line| line.line_no == line_no).ok_or_else(missing)
}

/// How many pieces of variants have come with a shipment.
fn in_all(shipment: &InboundShipment) -> BTreeMap<LevelKey, i64> {
    let mut sums = BTreeMap::new();
    for line in &shipment.lines {
        *sums.entry((line.variant_id, shipment.location_id)).or_insert(0) += line.received;
    }
    sums
}

/// Lets go of what crosses the dock and can not without the goods: what was put away is taken first, then what is due last. How many
/// pieces of each line it was.
fn let_crossing_go(
    tx: &mut Tx,
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    shipment: &mut InboundShipment,
    back: &[Back],
) -> Result<BTreeMap<i32, i64>> {
    let mut open = store::open_of(tx, shipment.id)?;
    open.retain(|one| one.state == MatchState::Received);
    let units = shipment.units_back(back);
    // A handling unit of which something is missing does not pass unopened.
    let (mut gone, mut open): (Vec<DockMatch>, Vec<DockMatch>) =
        open.into_iter().partition(|one| one.sscc.as_ref().is_some_and(|sscc| units.contains(sscc)));
    for one in back {
        let line = line_of(shipment, one.line_no)?;
        let of_line = |all: &[DockMatch]| -> i64 {
            all.iter().filter(|found| found.inbound_line == one.line_no).map(|found| found.quantity).sum()
        };
        let loaded = line.docked - of_line(&gone) - of_line(&open);
        if one.quantity > line.received - loaded {
            let detail = format!("{loaded} of line {} were loaded for orders", one.line_no);
            return Err(Error::conflict(detail).at(&*one.pointer).with("loaded", loaded));
        }
        let mut needed = one.quantity - (line.received - line.docked) - of_line(&gone);
        while needed > 0 {
            let Some(place) = open.iter().rposition(|found| found.inbound_line == one.line_no) else { break };
            let found = open.remove(place);
            needed -= found.quantity;
            gone.push(found);
        }
    }
    let mut freed: BTreeMap<i32, i64> = BTreeMap::new();
    for one in &gone {
        *freed.entry(one.inbound_line).or_default() += one.quantity;
    }
    for line in &mut shipment.lines {
        line.docked -= freed.get(&line.line_no).copied().unwrap_or_default();
    }
    service::let_go(tx, doing, draw, gone, "receipt_corrected")?;
    Ok(freed)
}

/// Takes what has not come off what is to be put away: of its own handling unit first, of what lies loose then, of other units last.
fn shrink_put_away(tx: &mut Tx, doing: Doing<'_>, shipment: &InboundShipment, back: &[Back]) -> Result<()> {
    let open = store::open_tasks_of(tx, &[shipment.id])?.into_iter().filter(|task| task.kind == TaskKind::PutAway);
    let mut open: Vec<(DockTask, i64)> = open.filter_map(|task| task.quantity.map(|left| (task, left))).collect();
    for one in back {
        let line = line_of(shipment, one.line_no)?;
        let mut missing = one.quantity;
        open.sort_by_key(|(task, _)| (task.sscc != line.sscc, task.sscc.is_some(), task.id));
        for (_, left) in open.iter_mut().filter(|(task, _)| task.variant_id == Some(line.variant_id)) {
            take_up_to(left, &mut missing);
        }
    }
    open.retain(|(task, left)| task.quantity != Some(*left));
    let ended: Vec<DockTaskId> = open.iter().map(|(task, _)| task.id).collect();
    let fewer = open.into_iter().filter(|(_, left)| *left > 0);
    // Nobody is told of it before the commit, so a second run may give it another id.
    let fewer =
        fewer.map(|(task, left)| DockTask { id: Id::new(), quantity: Some(left), created_at: doing.now, ..task });
    end(tx, doing, &ended)?;
    store::insert_tasks(tx, &fewer.collect::<Vec<_>>())
}

fn end(tx: &mut Tx, doing: Doing<'_>, tasks: &[DockTaskId]) -> Result<()> {
    match store::end_tasks(tx, doing.now, tasks, (TaskState::Cancelled, None))? {
        true => Ok(()),
        false => Err(Error::overtaken("a task")),
    }
}

/// What stands at the dock and is expected again is to be unloaded; of what does not stand there nothing is.
fn unload_again(tx: &mut Tx, doing: Doing<'_>, shipment: &InboundShipment) -> Result<()> {
    let mut open = store::open_tasks_of(tx, &[shipment.id])?;
    open.retain(|task| task.kind == TaskKind::Unload);
    if !matches!(shipment.state, InboundState::Arrived | InboundState::Receiving) {
        return end(tx, doing, &open.iter().map(|task| task.id).collect::<Vec<_>>());
    }
    let waits = shipment.lines.iter().filter(|line| line.left() > 0).map(|line| line.sscc.clone());
    let mut places: Vec<Option<String>> = waits.collect();
    places.sort_unstable();
    places.dedup();
    let missing = places.into_iter().filter(|sscc| !open.iter().any(|task| task.sscc == *sscc));
    let tasks = missing.map(|sscc| DockTask { sscc, ..task(doing.now, shipment, TaskKind::Unload) });
    store::insert_tasks(tx, &tasks.collect::<Vec<_>>())
}

/// Books goods out of their lots and off their levels, as far as nobody has taken them.
fn book_out(
    tx: &mut Tx,
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    shipment: &InboundShipment,
    (back, freed, came): (&[Back], &BTreeMap<i32, i64>, &BTreeMap<LevelKey, i64>),
    reason: &str,
) -> Result<()> {
    let (mut entries, mut lots) = (Vec::with_capacity(back.len()), Vec::with_capacity(back.len()));
    let mut going: BTreeMap<LevelKey, GoesBack> = BTreeMap::new();
    for one in back {
        let line = line_of(shipment, one.line_no)?;
        let key = (line.variant_id, shipment.location_id);
        let entry = Entry::goods(key, MovementKind::Correction, -one.quantity);
        entries.push(Entry { reason: Some(reason.to_owned()), ..entry });
        let sum = going.entry(key).or_insert_with(|| GoesBack { key, all: 0, freed: 0, pointer: one.pointer.clone() });
        sum.all += one.quantity;
        sum.freed += freed.get(&one.line_no).copied().unwrap_or_default().min(one.quantity);
        let named = one.lots.iter().map(|(lot, quantity)| (Some(lot.clone()), *quantity));
        let rest = one.quantity - one.lots.iter().map(|(_, quantity)| quantity).sum::<i64>();
        let first = line.lot.clone().or_else(|| line.best_before.map(|day| day.to_string()));
        for (said, quantity) in named.chain((rest > 0).then_some((None, rest))) {
            lots.push(lots::Back { key, said, first: first.clone(), quantity, pointer: one.pointer.clone() });
        }
    }
    // What is said to be of a lot is taken first.
    lots.sort_by_key(|back| back.said.is_none());
    let reference = shipment.id.to_string();
    let fresh = draw.many(entries.len());
    lots::take_back(tx, doing.now, doing.actor, &reference, (&lots, came), &fresh)?;
    standing::leave_taken(tx, &going.into_values().collect::<Vec<_>>())?;
    let fresh = draw.many(entries.len());
    stock::book(tx, doing.now, doing.actor, &entries, (Some(&reference), doing.now), &fresh).map(|_| ())
}

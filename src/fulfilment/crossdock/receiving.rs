//! Goods come in: received, booked, matched with orders that wait, divided into what crosses the dock and what is put away.
//!
//! The shipment is locked first, then the dock, then the lots that come, the stock levels last. Goods may come in another lot than was
//! announced: what was planned with those is let go, and they are offered anew as what they are.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::NaiveDate;

use super::{
    forms::{PutAway, Received},
    matching::match_goods,
    model::{DockMatch, DockRules, DockTask, MatchCommand, MatchState, TaskKind, TaskState, Way},
    service::{self, Doing, line_of, summed},
    store, told,
};
use crate::{
    catalog,
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{
        ids::Draw,
        inbound::{self, Docked, InLot, InboundCommand, InboundShipment, Receipt, Supply, Taken},
    },
    kernel::{
        Id, Instant,
        ids::{DockMatchId, InboundShipmentId},
        take_up_to,
    },
    stock::{self, Entry, MovementKind, lots},
};

pub(super) fn task(now: Instant, shipment: &InboundShipment, kind: TaskKind) -> DockTask {
    DockTask {
        // Nobody is told of it before the commit, so a second run may give it another.
        id: Id::new(),
        location_id: shipment.location_id,
        inbound_shipment_id: shipment.id,
        kind,
        state: TaskState::Open,
        sscc: None,
        match_id: None,
        fulfilment_order_id: None,
        variant_id: None,
        sku: None,
        quantity: None,
        created_at: now,
        ended_at: None,
        ended_by: None,
    }
}

/// Notes that a shipment stands at the dock: it is to be unloaded, each handling unit and what is loose.
///
/// # Errors
/// `not_found`, `scope_missing`, `state_conflict`.
pub(super) fn arrive(
    tx: &mut Tx,
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    id: InboundShipmentId,
) -> Result<InboundShipment> {
    let mut shipment = inbound::lock(tx, doing.actor, id)?;
    inbound::arrive(tx, (doing.now, doing.actor), draw.next(), &mut shipment)?;
    if store::hub(tx, shipment.location_id)?.is_some() {
        let unload = || task(doing.now, &shipment, TaskKind::Unload);
        let mut tasks: Vec<DockTask> =
            shipment.units.iter().map(|unit| DockTask { sscc: Some(unit.sscc.clone()), ..unload() }).collect();
        if shipment.lines.iter().any(|line| line.sscc.is_none()) {
            tasks.push(unload());
        }
        store::insert_tasks(tx, &tasks)?;
    }
    Ok(shipment)
}

/// Expects a shipment at another time. Orders for which it comes too late now are matched anew.
///
/// # Errors
/// `not_found`, `scope_missing`, `state_conflict`.
pub(super) fn reschedule(
    tx: &mut Tx,
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    id: InboundShipmentId,
    expected_at: Instant,
) -> Result<InboundShipment> {
    let mut shipment = inbound::lock(tx, doing.actor, id)?;
    inbound::reschedule(tx, (doing.now, doing.actor), draw.next(), &mut shipment, expected_at)?;
    let Some(rules) = store::lock_hub(tx, shipment.location_id)? else { return Ok(shipment) };
    let ready_at = expected_at.plus_seconds(60 * rules.lead_minutes);
    let planned = planned(tx, id)?;
    let dated = inbound::lots_of(tx, [id])?;
    // What has an end may not keep long enough any more: whether it does is asked anew.
    let ends = |one: &DockMatch| ready_at > one.ready_at && dated.contains_key(&(id, one.inbound_line));
    let (late, kept): (Vec<DockMatch>, Vec<DockMatch>) =
        planned.into_iter().partition(|one| !one.late && ready_at > one.due_at || ends(one));
    let kept: Vec<DockMatchId> = kept.iter().map(|one| one.id).collect();
    store::retime(tx, &kept, ready_at)?;
    service::let_go(tx, doing, draw, late, "late")?;
    service::plan(tx, doing, draw, shipment.location_id)?;
    // What it is matched with has changed.
    inbound::get(tx, doing.actor, id)
}

fn planned(tx: &mut Tx, id: InboundShipmentId) -> Result<Vec<DockMatch>> {
    let mut open = store::open_of(tx, id)?;
    open.retain(|one| one.state == MatchState::Planned);
    Ok(open)
}

/// Gives up what has not come of a shipment, all of it when it is cancelled. Orders that wait for it are matched anew.
///
/// # Errors
/// `not_found`, `scope_missing`, `state_conflict`.
pub(super) fn end(
    tx: &mut Tx,
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    id: InboundShipmentId,
    (command, reason): (InboundCommand, &str),
) -> Result<InboundShipment> {
    let mut shipment = inbound::lock(tx, doing.actor, id)?;
    shipment.state.takes(command)?;
    let word = if command == InboundCommand::Cancel { "cancelled" } else { "short" };
    let docked = store::lock_hub(tx, shipment.location_id)?.is_some();
    let planned = planned(tx, id)?;
    service::let_go(tx, doing, draw, planned, word)?;
    let by = (doing.now, doing.actor);
    match command {
        InboundCommand::Cancel => inbound::cancel(tx, by, draw.next(), &mut shipment, reason)?,
        _ => inbound::close(tx, by, draw.next(), &mut shipment, reason)?,
    }
    let unload = store::open_tasks_of(tx, &[id])?;
    let unload: Vec<_> = unload.iter().filter(|task| task.kind == TaskKind::Unload).map(|task| task.id).collect();
    if !store::end_tasks(tx, doing.now, &unload, (TaskState::Cancelled, None))? {
        return Err(Error::overtaken("a task"));
    }
    if docked {
        service::plan(tx, doing, draw, shipment.location_id)?;
    }
    Ok(shipment)
}

/// What becomes of goods that come.
#[derive(Default)]
struct Division {
    /// Matches that were planned and whose goods are here.
    come: Vec<DockMatch>,
    /// What is still to come of those of which only a part came.
    rest: Vec<DockMatch>,
    /// Matches that were found now.
    found: Vec<DockMatch>,
}

impl Division {
    fn docked(&self, taken: &[Taken]) -> Vec<Docked> {
        let of = |all: &[DockMatch], line_no: i32| -> i64 {
            all.iter().filter(|one| one.inbound_line == line_no).map(|one| one.quantity).sum()
        };
        let docked = taken.iter().map(|one| {
            let planned = of(&self.come, one.line_no);
            Docked { line_no: one.line_no, planned, docked: planned + of(&self.found, one.line_no) }
        });
        docked.collect()
    }

    fn here(&self) -> impl Iterator<Item = &DockMatch> {
        self.come.iter().chain(&self.found)
    }
}

/// Takes goods in: books them, gives them to the orders that they were meant for and to those that wait for them, and leaves tasks
/// for people. `at` is when they came.
///
/// # Errors
/// `not_found`, `scope_missing`, `state_conflict`, `line_unknown`, `quantity_exceeded`; `duplicate` for a handling unit that has
/// come before; `lot_required`; `history_before_announcement`.
pub(super) fn receive(
    tx: &mut Tx,
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    (id, receipt): (InboundShipmentId, &Receipt),
    at: Instant,
) -> Result<Received> {
    let mut shipment = inbound::lock(tx, doing.actor, id)?;
    shipment.announced_by(at)?;
    let taken = shipment.plan(receipt)?;
    let rules = store::lock_hub(tx, shipment.location_id)?;
    let others = of_other_lots(&shipment, receipt);
    let mut freed = BTreeMap::new();
    if rules.is_some() {
        let withheld = let_go_withheld(tx, doing, draw, id)?;
        freed = let_go_others(tx, doing, draw, &shipment, (&taken, &others))?;
        if withheld || !freed.is_empty() {
            // What of it is matched has changed.
            shipment = inbound::get(tx, doing.actor, id)?;
        }
    }
    // Lots are locked before the levels, and before it is asked whether they may be sold.
    let mut namings = in_lots(tx, doing, draw, &shipment, (&taken, receipt))?;
    lots::lock(tx, doing.now, &mut namings)?;
    let division = match &rules {
        None => Division::default(),
        Some(rules) => divide(tx, doing, draw, &shipment, (&taken, &others, &freed), rules)?,
    };
    let docked = division.docked(&taken);
    let events = [draw.next(), draw.next()];
    let units = inbound::receive(tx, (doing.now, at), doing.actor, events, &mut shipment, (&taken, &docked))?;
    let put_away = left_over(&shipment, &taken, &docked);
    if rules.is_some() {
        write(tx, doing, draw, &division)?;
        leave_tasks(tx, doing, &shipment, (&division, &put_away, &units))?;
    }
    let entries: Vec<Entry> = taken
        .iter()
        .filter_map(|one| {
            let line = shipment.lines.iter().find(|line| line.line_no == one.line_no)?;
            Some(Entry::goods((line.variant_id, shipment.location_id), MovementKind::Receipt, one.quantity))
        })
        .collect();
    let fresh = draw.many(entries.len());
    let reference = id.to_string();
    stock::book(tx, doing.now, doing.actor, &entries, (Some(&reference), at), &fresh)?;
    if !namings.is_empty() {
        lots::name(tx, doing.now, doing.actor, &namings, Some(&reference))?;
    }
    let matches = division.here().cloned().collect();
    Ok(Received { inbound_shipment: shipment, matches, put_away })
}

/// Lets go of what was planned with goods of lots that may not be sold: they are put away. Whether there was any.
fn let_go_withheld(tx: &mut Tx, doing: Doing<'_>, draw: &mut Draw<'_>, id: InboundShipmentId) -> Result<bool> {
    let planned = planned(tx, id)?;
    let barred = service::withheld(tx, doing.now, &planned)?;
    let (gone, _) = service::with_units(planned.into_iter().partition(|one| barred.contains(&one.id)));
    let some = !gone.is_empty();
    service::let_go(tx, doing, draw, gone, "lot_withheld")?;
    Ok(some)
}

/// The pieces of a receipt that it says are of other lots than were announced, or of one where none was.
fn of_other_lots(shipment: &InboundShipment, receipt: &Receipt) -> Vec<InLot> {
    let mut named = receipt.in_lots();
    named.retain(|part| {
        let line = shipment.lines.iter().find(|line| line.line_no == part.line_no);
        line.is_some_and(|line| line.lot_number().as_ref() != Some(&part.number))
    });
    named
}

/// How many pieces of a line are in lots.
fn pieces_in(lots: &[InLot], line_no: i32) -> i64 {
    lots.iter().filter(|part| part.line_no == line_no).map(|part| part.quantity).sum()
}

/// Lets go of what was planned with goods that have come in other lots, as far as no more of its line is to come; what is due last goes
/// first. Of each line, how many pieces it was.
fn let_go_others(
    tx: &mut Tx,
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    shipment: &InboundShipment,
    (taken, others): (&[Taken], &[InLot]),
) -> Result<BTreeMap<i32, i64>> {
    let mut freed: BTreeMap<i32, i64> = BTreeMap::new();
    if others.is_empty() {
        return Ok(freed);
    }
    let (mut gone, mut stay) = (Vec::new(), planned(tx, shipment.id)?);
    for one in taken {
        let other = pieces_in(others, one.line_no);
        let line = shipment.lines.iter().find(|line| line.line_no == one.line_no);
        let Some(line) = line.filter(|_| other > 0) else { continue };
        let of_line = |found: &&DockMatch| found.inbound_line == one.line_no;
        let matched: i64 = stay.iter().filter(of_line).map(|found| found.quantity).sum();
        let to_come = (line.left() + one.surplus - one.quantity).max(0);
        let mut excess = matched - matched.min(one.quantity - other) - to_come;
        while excess > 0 {
            let Some(place) = stay.iter().rposition(|found| found.inbound_line == one.line_no) else { break };
            let found = stay.remove(place);
            excess -= found.quantity;
            gone.push(found);
        }
    }
    let (gone, _) = service::with_units((gone, stay));
    for one in &gone {
        *freed.entry(one.inbound_line).or_default() += one.quantity;
    }
    service::let_go(tx, doing, draw, gone, "other_lot")?;
    Ok(freed)
}

/// The lots of which goods are that come: those that the receipt names, else the announced one. What has a date and no number is of a lot
/// that is called by its date.
///
/// # Errors
/// `lot_required` where goods are tracked by lot and some are of none.
fn in_lots(
    tx: &mut Tx,
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    shipment: &InboundShipment,
    (taken, receipt): (&[Taken], &Receipt),
) -> Result<Vec<lots::Naming>> {
    let named = receipt.in_lots();
    let mut parts: Vec<InLot> = Vec::new();
    let line_of = |line_no: i32| shipment.lines.iter().find(|line| line.line_no == line_no);
    let tracked = catalog::tracking_of(tx, taken.iter().filter_map(|one| Some(line_of(one.line_no)?.variant_id)))?;
    for one in taken.iter().filter(|one| one.quantity > 0) {
        let Some(line) = line_of(one.line_no) else { continue };
        let own: Vec<InLot> = named.iter().filter(|part| part.line_no == one.line_no).cloned().collect();
        let rest = one.quantity - own.iter().map(|part| part.quantity).sum::<i64>();
        let announced = line.lot.clone().or_else(|| line.best_before.map(|day| day.to_string()));
        let asks = tracked.get(&line.variant_id).is_some_and(|policy| policy.asks_for_lots());
        if rest > 0 && asks && announced.is_none() {
            let detail = format!("of which lot are {rest} of line {}?", one.line_no);
            let error = Error::problem(Code::LotRequired, detail).at(receipt.pointer(one.line_no));
            return Err(error.with("line_no", one.line_no).with("left", rest));
        }
        parts.extend(own);
        let rest = announced.filter(|_| rest > 0).map(|number| (number, rest));
        let (line_no, best_before) = (one.line_no, line.best_before);
        parts.extend(rest.map(|(number, quantity)| InLot { line_no, number, best_before, quantity }));
    }
    let zone = doing.locations.get(shipment.location_id)?.time_zone.0;
    let naming = |part: InLot| {
        let line = line_of(part.line_no)?;
        Some(lots::Naming {
            key: (line.variant_id, shipment.location_id),
            number: part.number,
            expires_at: service::ends_at(zone, part.best_before),
            quantity: part.quantity,
            fresh: draw.next(),
            event: draw.next(),
            pointer: "/lines".to_owned(),
        })
    };
    Ok(parts.into_iter().filter_map(naming).collect())
}

/// Gives what comes to the matches that were planned with it, those due first in front, and offers the rest to who waits. What has come
/// in other lots than were announced is for none that was planned.
fn divide(
    tx: &mut Tx,
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    shipment: &InboundShipment,
    (taken, others, freed): (&[Taken], &[InLot], &BTreeMap<i32, i64>),
    rules: &DockRules,
) -> Result<Division> {
    let own = |one: &Taken| (one.line_no, one.quantity - pieces_in(others, one.line_no));
    let mut left: BTreeMap<i32, i64> = taken.iter().map(own).collect();
    let mut whole: HashSet<&str> = whole_units(shipment, taken);
    // Its lots were looked at piece by piece.
    whole.retain(|sscc| shipment.contents(sscc).all(|line| pieces_in(others, line.line_no) == 0));
    let mut division = Division::default();
    for mut one in planned(tx, shipment.id)? {
        let Some(left) = left.get_mut(&one.inbound_line).filter(|left| **left > 0) else { continue };
        let come = one.quantity.min(*left);
        *left -= come;
        if one.sscc.as_deref().is_some_and(|sscc| !whole.contains(sscc)) {
            // It was opened: piece by piece is not unopened.
            (one.sscc, one.way) = (None, Way::Indirect);
        }
        if come < one.quantity {
            division.rest.push(DockMatch { id: draw.next(), quantity: one.quantity - come, ..one.clone() });
        }
        one.state = one.state.apply(MatchCommand::Receive)?;
        (one.quantity, one.received_at) = (come, Some(doing.now));
        division.come.push(one);
    }
    if rules.opportunistic || !freed.is_empty() {
        division.found = found(tx, doing, draw, (shipment, taken, others), (&left, &whole, freed), rules)?;
    }
    Ok(division)
}

/// The handling units that come whole with a receipt: nothing of them came before.
fn whole_units<'a>(shipment: &'a InboundShipment, taken: &[Taken]) -> HashSet<&'a str> {
    let come: HashMap<i32, i64> = taken.iter().map(|one| (one.line_no, one.quantity)).collect();
    let whole = |sscc: &&str| {
        shipment.contents(sscc).all(|line| line.received == 0 && come.get(&line.line_no) == Some(&line.expected))
    };
    shipment.units.iter().map(|unit| unit.sscc.as_str()).filter(whole).collect()
}

/// Matches of what comes and was meant for nobody; where the dock offers no such goods, of what was planned and has come otherwise: `freed`
/// is how many pieces of each line that is.
fn found(
    tx: &mut Tx,
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    (shipment, taken, others): (&InboundShipment, &[Taken], &[InLot]),
    (left, whole, freed): (&BTreeMap<i32, i64>, &HashSet<&str>, &BTreeMap<i32, i64>),
    rules: &DockRules,
) -> Result<Vec<DockMatch>> {
    let place = doing.locations.get(shipment.location_id)?;
    let come: HashMap<i32, i64> = taken.iter().map(|one| (one.line_no, one.quantity)).collect();
    let lines = shipment.lines.iter();
    let supply = lines.flat_map(|line| {
        let own = left.get(&line.line_no).copied().unwrap_or_default();
        let own = (line.lot_number(), line.best_before, own);
        let other = others.iter().filter(|part| part.line_no == line.line_no);
        let other = other.map(|part| (Some(part.number.clone()), part.best_before, part.quantity));
        let mut most = match rules.opportunistic {
            true => i64::MAX,
            false => freed.get(&line.line_no).copied().unwrap_or_default(),
        };
        let closed = line.sscc.as_deref().is_some_and(|sscc| {
            // None of the unit was meant for anybody else.
            whole.contains(sscc)
                && shipment.contents(sscc).all(|line| left.get(&line.line_no) == come.get(&line.line_no))
        });
        let of_lot = |(lot, best_before, mut pieces): (Option<String>, Option<NaiveDate>, i64)| {
            let quantity = take_up_to(&mut most, &mut pieces);
            (quantity > 0).then(|| Supply {
                inbound: shipment.id,
                line_no: line.line_no,
                variant: line.variant_id,
                sku: line.sku.clone(),
                sscc: line.sscc.clone(),
                at: doing.now,
                lot,
                best_before,
                ends_at: None,
                quantity,
                untouched: closed,
            })
        };
        [own].into_iter().chain(other).filter_map(of_lot).collect::<Vec<_>>()
    });
    let supplies = service::sellable(tx, doing.now, place.time_zone.0, supply.collect())?;
    let demands = service::demands(tx, doing.now, shipment.location_id, &supplies)?;
    let room = service::room(tx, doing.now, place)?;
    let matched = match_goods(&supplies, &demands, rules, &room);
    let state = (doing.now, shipment.location_id, MatchState::Received);
    let mut drafted = service::drafted(state, &supplies, &demands, &matched, draw);
    for one in &mut drafted {
        (one.way, one.received_at) = (Way::Opportunistic, Some(doing.now));
    }
    Ok(drafted)
}

/// Writes what became of matches.
fn write(tx: &mut Tx, doing: Doing<'_>, draw: &mut Draw<'_>, division: &Division) -> Result<()> {
    if !store::receive(tx, doing.now, &division.come)? {
        return Err(Error::overtaken("a match"));
    }
    // The rest of a match is a match of its own: what is matched in all stays.
    store::insert_matches(tx, &division.rest)?;
    store::match_demands(tx, &summed(division.found.iter().map(|one| (line_of(one), one.quantity))))?;
    store::insert_matches(tx, &division.found)?;
    let here: Vec<DockMatch> = division.rest.iter().chain(division.here()).cloned().collect();
    told::tell(tx, doing.now, doing.actor, draw, &here)
}

/// What of the goods goes to its shelf.
fn left_over(shipment: &InboundShipment, taken: &[Taken], docked: &[Docked]) -> Vec<PutAway> {
    let left = |one: &Taken| {
        let line = shipment.lines.iter().find(|line| line.line_no == one.line_no)?;
        let docked = docked.iter().find(|docked| docked.line_no == one.line_no).map_or(0, |docked| docked.docked);
        let quantity = one.quantity - docked;
        let (line_no, sku, sscc) = (line.line_no, line.sku.clone(), line.sscc.clone());
        (quantity > 0).then_some(PutAway { line_no, variant_id: line.variant_id, sku, sscc, quantity })
    };
    taken.iter().filter_map(left).collect()
}

/// Leaves tasks for people, and ends those of unloading what is here.
fn leave_tasks(
    tx: &mut Tx,
    doing: Doing<'_>,
    shipment: &InboundShipment,
    (division, put_away, units): (&Division, &[PutAway], &[String]),
) -> Result<()> {
    let mut tasks = Vec::new();
    let mut passing: HashSet<&str> = HashSet::new();
    for one in division.here() {
        let load = DockTask {
            fulfilment_order_id: Some(one.fulfilment_order_id),
            ..task(doing.now, shipment, TaskKind::Load)
        };
        match &one.sscc {
            // One for the unit, whatever is in it.
            Some(sscc) => {
                if passing.insert(sscc) {
                    tasks.push(DockTask { sscc: Some(sscc.clone()), ..load });
                }
            }
            None => {
                let own = |kind| DockTask {
                    id: Id::new(),
                    kind,
                    match_id: Some(one.id),
                    variant_id: Some(one.variant_id),
                    sku: Some(one.sku.clone()),
                    quantity: Some(one.quantity),
                    ..load.clone()
                };
                tasks.extend([own(TaskKind::Sort), own(TaskKind::Load)]);
            }
        }
    }
    tasks.extend(put_away.iter().map(|left| DockTask {
        sscc: left.sscc.clone(),
        variant_id: Some(left.variant_id),
        sku: Some(left.sku.clone()),
        quantity: Some(left.quantity),
        ..task(doing.now, shipment, TaskKind::PutAway)
    }));
    store::insert_tasks(tx, &tasks)?;
    let loose_left = shipment.lines.iter().any(|line| line.sscc.is_none() && line.left() > 0);
    let unloaded = store::open_tasks_of(tx, &[shipment.id])?;
    let unloaded = unloaded.iter().filter(|task| task.kind == TaskKind::Unload).filter(|task| match &task.sscc {
        Some(sscc) => units.contains(sscc),
        None => !loose_left,
    });
    let unloaded: Vec<_> = unloaded.map(|task| task.id).collect();
    let by = doing.actor.label();
    match store::end_tasks(tx, doing.now, &unloaded, (TaskState::Done, Some(&by)))? {
        true => Ok(()),
        false => Err(Error::overtaken("a task")),
    }
}

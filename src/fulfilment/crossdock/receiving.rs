//! Goods come in: received, booked, matched with orders that wait, divided into what crosses the dock and what is put away.
//!
//! The shipment is locked first, then the dock, the stock levels last.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    forms::{PutAway, Received},
    matching::match_goods,
    model::{DockMatch, DockRules, DockTask, MatchCommand, MatchState, TaskKind, TaskState, Way},
    service::{self, Doing, line_of, summed},
    store, told,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    fulfilment::{
        ids::Draw,
        inbound::{self, Docked, InboundCommand, InboundShipment, Receipt, Supply, Taken},
    },
    kernel::{
        Id, Instant,
        ids::{DockMatchId, InboundShipmentId, VariantId},
        local::start_of_day,
    },
    stock::{self, Entry, MovementKind, lots},
};

fn task(now: Instant, shipment: &InboundShipment, kind: TaskKind) -> DockTask {
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
    let (late, kept): (Vec<DockMatch>, Vec<DockMatch>) =
        planned.into_iter().partition(|one| !one.late && ready_at > one.due_at);
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
/// come before.
pub(super) fn receive(
    tx: &mut Tx,
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    (id, receipt): (InboundShipmentId, &Receipt),
    at: Instant,
) -> Result<Received> {
    let mut shipment = inbound::lock(tx, doing.actor, id)?;
    let taken = shipment.plan(receipt)?;
    let rules = store::lock_hub(tx, shipment.location_id)?;
    let division = match &rules {
        None => Division::default(),
        Some(rules) => divide(tx, doing, draw, &shipment, &taken, rules)?,
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
    let mut namings = in_lots(doing, draw, &shipment, &taken)?;
    // Lots are locked before the levels.
    lots::lock(tx, doing.now, &mut namings)?;
    stock::book(tx, doing.now, doing.actor, &entries, (Some(&reference), at), &fresh)?;
    if !namings.is_empty() {
        lots::name(tx, doing.now, doing.actor, &namings, Some(&reference))?;
    }
    let matches = division.here().cloned().collect();
    Ok(Received { inbound_shipment: shipment, matches, put_away })
}

/// The lots of which goods are that come. What has a date and no number is of a lot that is called by its date.
fn in_lots(
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    shipment: &InboundShipment,
    taken: &[Taken],
) -> Result<Vec<lots::Naming>> {
    let zone = doing.locations.get(shipment.location_id)?.time_zone.0;
    let mut of = |one: &Taken| {
        let line = shipment.lines.iter().find(|line| line.line_no == one.line_no)?;
        let number = line.lot.clone().or_else(|| line.best_before.map(|day| day.to_string()))?;
        // On the day itself it is still good.
        let expires_at = line.best_before.and_then(|day| day.succ_opt()).map(|day| start_of_day(zone, day));
        (one.quantity > 0).then(|| lots::Naming {
            key: (line.variant_id, shipment.location_id),
            number,
            expires_at,
            quantity: one.quantity,
            fresh: draw.next(),
            event: draw.next(),
            pointer: "/lines".to_owned(),
        })
    };
    Ok(taken.iter().filter_map(&mut of).collect())
}

/// Gives what comes to the matches that were planned with it, those due first in front, and offers the rest to who waits.
fn divide(
    tx: &mut Tx,
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    shipment: &InboundShipment,
    taken: &[Taken],
    rules: &DockRules,
) -> Result<Division> {
    let mut left: BTreeMap<i32, i64> = taken.iter().map(|one| (one.line_no, one.quantity)).collect();
    let whole: HashSet<&str> = whole_units(shipment, taken);
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
    if rules.opportunistic {
        division.found = found(tx, doing, draw, (shipment, taken), (&left, &whole), rules)?;
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

/// Matches of what comes and was meant for nobody.
fn found(
    tx: &mut Tx,
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    (shipment, taken): (&InboundShipment, &[Taken]),
    (left, whole): (&BTreeMap<i32, i64>, &HashSet<&str>),
    rules: &DockRules,
) -> Result<Vec<DockMatch>> {
    let place = doing.locations.get(shipment.location_id)?;
    let come: HashMap<i32, i64> = taken.iter().map(|one| (one.line_no, one.quantity)).collect();
    let lines = shipment.lines.iter();
    let supply = lines.filter_map(|line| {
        let quantity = left.get(&line.line_no).copied().filter(|left| *left > 0)?;
        let closed = line.sscc.as_deref().is_some_and(|sscc| {
            // None of the unit was meant for anybody else.
            whole.contains(sscc)
                && shipment.contents(sscc).all(|line| left.get(&line.line_no) == come.get(&line.line_no))
        });
        Some(Supply {
            inbound: shipment.id,
            line_no: line.line_no,
            variant: line.variant_id,
            sku: line.sku.clone(),
            sscc: line.sscc.clone(),
            at: doing.now,
            best_before: line.best_before,
            quantity,
            untouched: closed,
        })
    });
    let supplies: Vec<Supply> = supply.collect();
    let mut variants: Vec<VariantId> = supplies.iter().map(|supply| supply.variant).collect();
    variants.sort_unstable();
    variants.dedup();
    let demands = service::demands(tx, doing.now, shipment.location_id, &variants)?;
    let open = store::open_at(tx, shipment.location_id)?;
    let used = service::used(place, &open);
    let matched = match_goods(&supplies, &demands, rules, (&used, place.time_zone.0));
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

//! Planning at a dock: what comes is matched with orders that wait, before it is there; what does not come in time is matched anew.
//!
//! Who matches at a dock holds its row, so that there is one plan at a time. What is matched is reserved on both sides by guarded
//! counters: of the inbound line never more than is to come, of the order's line never more than is open.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    forms::{Arrival, DockView, Outbound},
    matching::{Matched, match_goods},
    model::{Claim, Demand, DockMatch, DockRules, DockTask, MatchState, TaskKind, TaskState, Way, waiting},
    outcome::{self, DockReport},
    store::{self, Line},
    told,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    fulfilment::{
        ids::Draw,
        inbound::{self, InboundLine, Supply},
        store as fulfilment_store,
    },
    kernel::{
        Actor, Id, Instant,
        ids::{DockMatchId, DockTaskId, FulfilmentOrderId, InboundShipmentId, LocationId, VariantId},
        local::day_of,
    },
    stock::{self, Location, Locations},
};

// What is asked for as it stands in the tables.
pub(super) use super::store::{At, match_page, task_page};

/// Who does something at a dock, when.
#[derive(Clone, Copy)]
pub(super) struct Doing<'a> {
    pub now: Instant,
    pub actor: &'a Actor,
    pub locations: &'a Locations,
}

/// A dock that the actor may see.
///
/// # Errors
/// `not_found`.
pub(super) fn place<'a>(locations: &'a Locations, actor: &Actor, id: LocationId) -> Result<&'a Location> {
    let found = locations.get(id).ok().filter(|location| actor.sees_location(location.id));
    found.ok_or_else(|| Error::not_found("location"))
}

/// Sets how a dock works. From now on goods cross it.
///
/// # Errors
/// `not_found`, `scope_missing`, `invalid_value`.
pub(super) fn set_hub(tx: &mut Tx, doing: Doing<'_>, id: LocationId, rules: &DockRules) -> Result<i64> {
    place(doing.locations, doing.actor, id)?;
    stock::keeps(doing.actor, id)?;
    rules.check()?;
    let saved = store::save_hub(tx, doing.now, id, rules)?;
    saved.ok_or_else(|| Error::internal("a dock was not saved"))
}

/// Sums by key, in the order of the keys.
pub(super) fn summed<K: Ord>(all: impl Iterator<Item = (K, i64)>) -> Vec<(K, i64)> {
    let mut sums: BTreeMap<K, i64> = BTreeMap::new();
    all.for_each(|(key, more)| *sums.entry(key).or_default() += more);
    sums.into_iter().collect()
}

pub(super) fn line_of(one: &DockMatch) -> Line {
    (one.fulfilment_order_id, one.line_no)
}

/// The lines at a dock that lack these variants.
pub(super) fn demands(tx: &mut Tx, now: Instant, location: LocationId, variants: &[VariantId]) -> Result<Vec<Demand>> {
    let lines = fulfilment_store::open_lines(tx, now, location, variants)?;
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<Line> = lines.iter().map(|line| (line.id, line.line_no)).collect();
    let matched = store::matched(tx, &keys)?;
    let claims = lines.into_iter().map(|line| {
        let matched = matched.get(&(line.id, line.line_no)).copied().unwrap_or_default();
        claim(line, matched)
    });
    let levels: Vec<_> = variants.iter().map(|variant| (*variant, location)).collect();
    let levels = stock::levels_at(tx, &levels)?;
    let on_hand = levels.values().map(|level| (level.variant, level.on_hand - level.withheld)).collect();
    let at_dock = store::open_at(tx, location)?;
    let at_dock = at_dock.iter().filter(|one| one.state == MatchState::Received);
    let at_dock: HashMap<VariantId, i64> =
        summed(at_dock.map(|one| (one.variant_id, one.quantity))).into_iter().collect();
    Ok(waiting(&on_hand, &at_dock, claims.collect()))
}

/// The lines at a location that lack these variants, whatever else they wait for and whatever is matched with them.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn lacking(
    tx: &mut Tx,
    now: Instant,
    location: LocationId,
    variants: &[VariantId],
) -> Result<Vec<Demand>> {
    let lines = fulfilment_store::open_lines(tx, now, location, variants)?;
    let claims = lines.into_iter().map(|line| Claim { barred: false, ..claim(line, 0) }).collect();
    let levels: Vec<_> = variants.iter().map(|variant| (*variant, location)).collect();
    let levels = stock::levels_at(tx, &levels)?;
    let on_hand = levels.values().map(|level| (level.variant, level.on_hand - level.withheld)).collect();
    Ok(waiting(&on_hand, &HashMap::new(), claims))
}

fn claim(line: fulfilment_store::OpenLine, matched: i64) -> Claim {
    Claim {
        fulfilment_order: line.id,
        line_no: line.line_no,
        variant: line.variant,
        open: line.open,
        taken: line.taken,
        matched,
        // A hold for goods ends with goods.
        barred: line.barred,
        priority: line.priority,
        due_at: line.due_at,
        created_at: line.created_at,
    }
}

/// How many pieces cross a dock on each day already.
pub(super) fn used(location: &Location, open: &[DockMatch]) -> BTreeMap<chrono::NaiveDate, i64> {
    let zone = location.time_zone.0;
    summed(open.iter().map(|one| (day_of(zone, one.ready_at), one.quantity))).into_iter().collect()
}

/// Matches that goods stand for, with their ids.
pub(super) fn drafted(
    (now, location, state): (Instant, LocationId, MatchState),
    supplies: &[Supply],
    demands: &[Demand],
    matched: &[Matched],
    draw: &mut Draw<'_>,
) -> Vec<DockMatch> {
    let draft = |one: &Matched| {
        let (supply, demand) = (supplies.get(one.supply)?, demands.get(one.demand)?);
        Some(DockMatch {
            id: draw.next(),
            location_id: location,
            inbound_shipment_id: supply.inbound,
            inbound_line: supply.line_no,
            fulfilment_order_id: demand.fulfilment_order,
            line_no: demand.line_no,
            variant_id: supply.variant,
            sku: supply.sku.clone(),
            sscc: one.sscc.clone(),
            way: one.way,
            state,
            quantity: one.quantity,
            late: one.late,
            ready_at: one.ready_at,
            due_at: demand.due_at,
            reason: None,
            created_at: now,
            received_at: None,
            ended_at: None,
        })
    };
    matched.iter().filter_map(draft).collect()
}

/// Plans a dock: lets go of what nobody waits for any more, and matches what comes with the orders that lack it. What was planned
/// before stays. How many were made.
///
/// # Errors
/// What the database says.
pub(super) fn plan(tx: &mut Tx, doing: Doing<'_>, draw: &mut Draw<'_>, location: LocationId) -> Result<Vec<DockMatch>> {
    let Some(rules) = store::lock_hub(tx, location)? else { return Ok(Vec::new()) };
    reconcile(tx, doing, draw, location)?;
    let Some(place) = doing.locations.get(location).ok().filter(|_| rules.planned) else { return Ok(Vec::new()) };
    let supplies = inbound::free(tx, location)?;
    let mut variants: Vec<VariantId> = supplies.iter().map(|supply| supply.variant).collect();
    variants.sort_unstable();
    variants.dedup();
    let demands = demands(tx, doing.now, location, &variants)?;
    if demands.is_empty() {
        return Ok(Vec::new());
    }
    let used = used(place, &store::open_at(tx, location)?);
    let matched = match_goods(&supplies, &demands, &rules, (&used, place.time_zone.0));
    let drafted = drafted((doing.now, location, MatchState::Planned), &supplies, &demands, &matched, draw);
    let of_lines = summed(drafted.iter().map(|one| ((one.inbound_shipment_id, one.inbound_line), one.quantity)));
    let of_lines: Vec<_> = of_lines.into_iter().map(|((shipment, line), pieces)| (shipment, line, pieces, 0)).collect();
    inbound::match_lines(tx, &of_lines)?;
    store::match_demands(tx, &summed(drafted.iter().map(|one| (line_of(one), one.quantity))))?;
    store::insert_matches(tx, &drafted)?;
    told::tell(tx, doing.now, doing.actor, draw, &drafted)?;
    Ok(drafted)
}

/// Lets go of matches whose line has less open than is matched of it: it was cancelled, picked from the shelf, moved.
fn reconcile(tx: &mut Tx, doing: Doing<'_>, draw: &mut Draw<'_>, location: LocationId) -> Result<()> {
    let mut open = store::open_at(tx, location)?;
    let mut variants: Vec<VariantId> = open.iter().map(|one| one.variant_id).collect();
    variants.sort_unstable();
    variants.dedup();
    let lines = fulfilment_store::open_lines(tx, doing.now, location, &variants)?;
    let mut left: HashMap<Line, i64> = lines.iter().map(|line| ((line.id, line.line_no), line.open)).collect();
    // What is at the dock stays before what is still to come, what comes first before what comes later.
    open.sort_by_key(|one| (one.state != MatchState::Received, one.ready_at, one.id));
    let (mut gone, stay): (Vec<DockMatch>, Vec<DockMatch>) = open.into_iter().partition(|one| {
        let left = left.entry(line_of(one)).or_default();
        let stays = one.quantity <= *left;
        *left -= if stays { one.quantity } else { 0 };
        !stays
    });
    // A handling unit passes with all that is in it, or is opened: what is left of it is matched anew.
    let unit = |one: &DockMatch| Some((one.inbound_shipment_id, one.sscc.clone()?));
    let opened: HashSet<(InboundShipmentId, String)> = gone.iter().filter_map(unit).collect();
    gone.extend(stay.into_iter().filter(|one| unit(one).is_some_and(|unit| opened.contains(&unit))));
    let_go(tx, doing, draw, gone, "demand_gone")
}

/// Cancels open matches: what they held is free on both sides, and goods that are there already are put away.
///
/// # Errors
/// `version_stale` when one has ended meanwhile.
pub(super) fn let_go(
    tx: &mut Tx,
    doing: Doing<'_>,
    draw: &mut Draw<'_>,
    mut gone: Vec<DockMatch>,
    reason: &str,
) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    for state in [MatchState::Planned, MatchState::Received] {
        let of_state: Vec<DockMatchId> = gone.iter().filter(|one| one.state == state).map(|one| one.id).collect();
        if !store::end(tx, doing.now, &of_state, (state, MatchState::Cancelled), Some(reason))? {
            return Err(Error::overtaken("a match"));
        }
    }
    store::unmatch_demands(tx, &summed(gone.iter().map(|one| (line_of(one), one.quantity))))?;
    inbound::match_lines(tx, &given_back(&gone))?;
    let of: HashSet<DockMatchId> = gone.iter().map(|one| one.id).collect();
    let units: HashSet<(InboundShipmentId, String)> =
        gone.iter().filter_map(|one| Some((one.inbound_shipment_id, one.sscc.clone()?))).collect();
    let there: Vec<&DockMatch> = gone.iter().filter(|one| one.state == MatchState::Received).collect();
    let mut shipments: Vec<InboundShipmentId> = there.iter().map(|one| one.inbound_shipment_id).collect();
    shipments.sort_unstable();
    shipments.dedup();
    let open = store::open_tasks_of(tx, &shipments)?;
    let own = open.iter().filter(|task| {
        let whole = task.kind == TaskKind::Load && task.match_id.is_none();
        let unit = task.sscc.clone().filter(|_| whole).map(|sscc| (task.inbound_shipment_id, sscc));
        task.match_id.is_some_and(|id| of.contains(&id)) || unit.is_some_and(|unit| units.contains(&unit))
    });
    let tasks: Vec<DockTaskId> = own.map(|task| task.id).collect();
    if !store::end_tasks(tx, doing.now, &tasks, (TaskState::Cancelled, None))? {
        return Err(Error::overtaken("a task"));
    }
    let away: Vec<DockTask> = there.iter().map(|one| put_away(doing.now, one)).collect();
    store::insert_tasks(tx, &away)?;
    for one in &mut gone {
        (one.state, one.ended_at, one.reason) = (MatchState::Cancelled, Some(doing.now), Some(reason.to_owned()));
    }
    told::tell(tx, doing.now, doing.actor, draw, &gone)
}

fn put_away(now: Instant, one: &DockMatch) -> DockTask {
    DockTask {
        // Nobody is told of it before the commit, so a second run may give it another.
        id: Id::new(),
        location_id: one.location_id,
        inbound_shipment_id: one.inbound_shipment_id,
        kind: TaskKind::PutAway,
        state: TaskState::Open,
        sscc: None,
        match_id: None,
        fulfilment_order_id: None,
        variant_id: Some(one.variant_id),
        sku: Some(one.sku.clone()),
        quantity: Some(one.quantity),
        created_at: now,
        ended_at: None,
        ended_by: None,
    }
}

/// What inbound lines get back of matches that are let go.
fn given_back(gone: &[DockMatch]) -> Vec<(InboundShipmentId, i32, i64, i64)> {
    let mut back: BTreeMap<(InboundShipmentId, i32), (i64, i64)> = BTreeMap::new();
    for one in gone {
        let sums = back.entry((one.inbound_shipment_id, one.inbound_line)).or_default();
        match one.state {
            MatchState::Planned => sums.0 -= one.quantity,
            _ => sums.1 -= one.quantity,
        }
    }
    back.into_iter().map(|((shipment, line), (planned, docked))| (shipment, line, planned, docked)).collect()
}

/// The docks that there are.
///
/// # Errors
/// What the database says.
pub(super) fn hubs(tx: &mut Tx) -> Result<Vec<LocationId>> {
    store::hubs(tx)
}

/// A dock that the actor may see: what comes to it when, and for which orders.
///
/// # Errors
/// `not_found`.
pub(super) fn view(tx: &mut Tx, location: LocationId) -> Result<DockView> {
    let rules = store::hub(tx, location)?.map(|(rules, _)| rules);
    let open = store::open_at(tx, location)?;
    let mut of: BTreeMap<InboundShipmentId, BTreeMap<(FulfilmentOrderId, Way), Outbound>> = BTreeMap::new();
    for one in &open {
        let orders = of.entry(one.inbound_shipment_id).or_default();
        let outbound = orders.entry((one.fulfilment_order_id, one.way)).or_insert_with(|| Outbound {
            fulfilment_order_id: one.fulfilment_order_id,
            due_at: one.due_at,
            pieces: 0,
            late: false,
            way: one.way,
        });
        outbound.pieces += one.quantity;
        outbound.late |= one.late;
    }
    let others: Vec<InboundShipmentId> = of.keys().copied().collect();
    let arrivals = inbound::at_dock(tx, location, &others, 200)?.into_iter().map(|shipment| {
        let sum = |count: fn(&InboundLine) -> i64| shipment.lines.iter().map(count).sum::<i64>();
        let mut outbound: Vec<Outbound> = of.remove(&shipment.id).unwrap_or_default().into_values().collect();
        outbound.sort_by_key(|one| (one.due_at, one.fulfilment_order_id));
        Arrival {
            inbound_shipment_id: shipment.id,
            pieces: sum(|line| line.expected + line.surplus - line.short),
            received: sum(|line| line.received),
            crossing: sum(|line| line.matched + line.docked),
            reference: shipment.reference,
            state: shipment.state,
            expected_at: shipment.expected_at,
            arrived_at: shipment.arrived_at,
            outbound,
        }
    });
    Ok(DockView { location_id: location, rules, arrivals: arrivals.collect() })
}

/// What a dock has done in a time.
///
/// # Errors
/// What the database says.
pub(super) fn report(tx: &mut Tx, location: LocationId, time: (Instant, Instant)) -> Result<DockReport> {
    let received = inbound::received_between(tx, location, time)?;
    Ok(outcome::report(location, time, received, &store::crossed(tx, location, time)?))
}

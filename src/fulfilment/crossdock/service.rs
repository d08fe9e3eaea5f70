//! Planning at a dock: what comes is matched with orders that wait, before it is there; what does not come in time is matched anew.
//!
//! Who matches at a dock holds its row, so that there is one plan at a time. What is matched is reserved on both sides by guarded
//! counters: of the inbound line never more than is to come, of the order's line never more than is open.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::{
    forms::{Arrival, DockView, Outbound},
    matching::{Matched, Room, match_goods},
    model::{Claim, Demand, DockMatch, DockRules, DockTask, MatchState, TaskKind, TaskState, Way, waiting},
    outcome::{self, DockReport},
    store::{self, Line},
    told,
};
use crate::{
    catalog,
    db::Tx,
    error::{Error, Result},
    fulfilment::{
        ids::Draw,
        inbound::{self, InboundLine, Supply},
        store as fulfilment_store,
    },
    kernel::{
        Actor, Id, Instant,
        ids::{DockMatchId, DockTaskId, FulfilmentOrderId, InboundShipmentId, LocationId, OrderId, VariantId},
        local::{day_of, start_of_day},
    },
    orders,
    stock::{
        self, LevelKey, Location, Locations,
        lots::{self, Lot},
    },
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

/// The lines at a dock that lack what is supplied.
pub(super) fn demands(tx: &mut Tx, now: Instant, location: LocationId, supplies: &[Supply]) -> Result<Vec<Demand>> {
    let mut variants: Vec<VariantId> = supplies.iter().map(|supply| supply.variant).collect();
    variants.sort_unstable();
    variants.dedup();
    let lines = fulfilment_store::open_lines(tx, now, location, &variants)?;
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let orders: HashMap<FulfilmentOrderId, (OrderId, Option<i64>)> =
        lines.iter().map(|line| (line.id, (line.order, line.shelf_life_days))).collect();
    let keys: Vec<Line> = lines.iter().map(|line| (line.id, line.line_no)).collect();
    let matched = store::matched(tx, &keys)?;
    let claims = claims(tx, now, lines, &matched)?.into_iter().map(|(_, claim)| claim).collect();
    let levels: Vec<LevelKey> = variants.iter().map(|variant| (*variant, location)).collect();
    let on_hand = on_hand(tx, &levels)?.into_iter().map(|((variant, _), pieces)| (variant, pieces)).collect();
    let at_dock = store::open_at(tx, location)?;
    let at_dock = at_dock.iter().filter(|one| one.state == MatchState::Received);
    let at_dock: HashMap<VariantId, i64> =
        summed(at_dock.map(|one| (one.variant_id, one.quantity))).into_iter().collect();
    let mut demands = waiting(&on_hand, &at_dock, claims);
    if supplies.iter().any(|supply| supply.ends_at.is_some()) {
        let mut ids: Vec<OrderId> =
            demands.iter().filter_map(|one| Some(orders.get(&one.fulfilment_order)?.0)).collect();
        ids.sort_unstable();
        ids.dedup();
        let lives = orders::shelf_lives(tx, &ids)?;
        for one in &mut demands {
            let Some((order, own)) = orders.get(&one.fulfilment_order) else { continue };
            one.keeps_days = (*own).max(lives.get(order).copied()).unwrap_or_default();
        }
    }
    Ok(demands)
}

/// Goods that may be sold, each with the end that is known of its lot. Of a handling unit of which a part may not, the rest does not
/// pass unopened.
pub(super) fn sellable(tx: &mut Tx, now: Instant, zone: Tz, mut supplies: Vec<Supply>) -> Result<Vec<Supply>> {
    let numbers = supplies.iter().filter_map(|supply| Some((supply.variant, supply.lot.as_deref()?)));
    let lots = lots::known(tx, &numbers.collect())?;
    let known: HashMap<(VariantId, &str), &Lot> =
        lots.iter().map(|lot| ((lot.variant_id, lot.number.as_str()), lot)).collect();
    let mut opened: HashSet<(InboundShipmentId, String)> = HashSet::new();
    supplies.retain_mut(|supply| {
        let lot = supply.lot.as_deref().and_then(|number| known.get(&(supply.variant, number)));
        // What is known of a lot counts, whatever a delivery says of its end.
        supply.ends_at = match lot {
            Some(lot) => lot.expires_at,
            None => ends_at(zone, supply.best_before),
        };
        if lot.is_some() {
            supply.best_before = supply.ends_at.map(|at| day_of(zone, at.plus_seconds(-1)));
        }
        let may = lot.is_none_or(|lot| lot.refused(now, None).is_none());
        opened.extend(supply.sscc.clone().filter(|_| !may).map(|sscc| (supply.inbound, sscc)));
        may
    });
    for supply in &mut supplies {
        supply.untouched &= supply.sscc.as_ref().is_none_or(|sscc| !opened.contains(&(supply.inbound, sscc.clone())));
    }
    Ok(supplies)
}

/// From when on goods are not sold any more that are best before a day: on the day itself they are still good.
pub(super) fn ends_at(zone: Tz, best_before: Option<NaiveDate>) -> Option<Instant> {
    best_before.and_then(|day| day.succ_opt()).map(|day| start_of_day(zone, day))
}

/// The lines at a location that lack these variants, whatever else they wait for and whatever is to come for them.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn lacking(
    tx: &mut Tx,
    now: Instant,
    location: LocationId,
    variants: &[VariantId],
) -> Result<Vec<Demand>> {
    let levels: Vec<LevelKey> = variants.iter().map(|variant| (*variant, location)).collect();
    Ok(lacking_at(tx, now, &levels)?.remove(&location).unwrap_or_default())
}

/// The same of the levels of any number of locations, by location: those at which nobody lacks anything are absent. As many statements
/// as of one level.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn lacking_at(
    tx: &mut Tx,
    now: Instant,
    levels: &[LevelKey],
) -> Result<HashMap<LocationId, Vec<Demand>>> {
    let Some((_, first)) = levels.first() else { return Ok(HashMap::new()) };
    let lines = match levels.iter().all(|(_, place)| place == first) {
        true => {
            let variants: Vec<VariantId> = levels.iter().map(|(variant, _)| *variant).collect();
            fulfilment_store::open_lines(tx, now, *first, &variants)?
        }
        false => fulfilment_store::open_lines_of(tx, now, levels)?,
    };
    // What stands at the dock for one is not there for another.
    let standing = store::standing(tx, levels)?;
    let at_dock: HashMap<LevelKey, i64> =
        summed(standing.iter().map(|(key, .., pieces)| (*key, *pieces))).into_iter().collect();
    let matched = summed(standing.into_iter().map(|(_, work, line_no, pieces)| ((work, line_no), pieces)));
    // When goods come, and what is due with them, changes no turn.
    let turns: HashMap<Line, Instant> = lines.iter().map(|line| ((line.id, line.line_no), line.turn_at)).collect();
    let mut by_place: HashMap<LocationId, Vec<Claim>> = HashMap::new();
    for (place, mut claim) in claims(tx, now, lines, &matched.into_iter().collect())? {
        claim.barred = false;
        claim.due_at = turns.get(&(claim.fulfilment_order, claim.line_no)).copied().unwrap_or(claim.due_at);
        by_place.entry(place).or_default().push(claim);
    }
    let on_hand = on_hand(tx, levels)?;
    let lacking = by_place.into_iter().map(|(place, claims)| {
        let here = |all: &HashMap<LevelKey, i64>| {
            let own = all.iter().filter(|((_, at), _)| *at == place);
            own.map(|((variant, _), pieces)| (*variant, *pieces)).collect::<HashMap<_, _>>()
        };
        (place, waiting(&here(&on_hand), &here(&at_dock), claims))
    });
    Ok(lacking.filter(|(_, demands)| !demands.is_empty()).collect())
}

/// Lines as claims to what lies at their locations: two statements, and two more where a channel leaves something to others.
fn claims(
    tx: &mut Tx,
    now: Instant,
    lines: Vec<fulfilment_store::OpenLine>,
    matched: &HashMap<Line, i64>,
) -> Result<Vec<(LocationId, Claim)>> {
    let level = |line: &fulfilment_store::OpenLine| (line.variant, line.location);
    let asked = |line: &fulfilment_store::OpenLine| (level(line), line.channel, line.shelf_life_days);
    let kept = stock::kept_back(tx, now, &lines.iter().map(asked).collect::<Vec<_>>())?;
    let left = kept.iter().filter(|(_, kept)| kept.left > 0).map(|((level, ..), _)| *level);
    let beyond = sold_beyond(tx, left.collect())?;
    let claim = |line: fulfilment_store::OpenLine| {
        let matched = matched.get(&(line.id, line.line_no)).copied().unwrap_or_default();
        let kept = kept.get(&asked(&line)).copied().unwrap_or_default();
        // Of what is not sold beyond the stock, what was sold was there for it then, and stays sold.
        let kept_back = kept.ends + if beyond.contains(&level(&line)) { kept.left } else { 0 };
        (line.location, Claim { kept_back, ..claim(line, matched) })
    };
    Ok(lines.into_iter().map(claim).collect())
}

/// Those of levels of which is sold beyond what lies there: without end, or up to a number.
fn sold_beyond(tx: &mut Tx, asked: BTreeSet<LevelKey>) -> Result<HashSet<LevelKey>> {
    let keys: Vec<LevelKey> = asked.into_iter().collect();
    let variants: BTreeSet<VariantId> = keys.iter().map(|(variant, _)| *variant).collect();
    let levels = stock::levels_at(tx, &keys)?;
    let known = catalog::by_ids(tx, &variants.into_iter().collect::<Vec<_>>())?;
    let endless: HashSet<VariantId> =
        known.iter().filter(|variant| !variant.is_limited()).map(|variant| variant.id).collect();
    let limited = |key: &LevelKey| levels.get(key).is_some_and(|level| level.beyond > 0);
    Ok(keys.into_iter().filter(|key| limited(key) || endless.contains(&key.0)).collect())
}

/// How many pieces of levels lie there and may be sold.
fn on_hand(tx: &mut Tx, levels: &[LevelKey]) -> Result<HashMap<LevelKey, i64>> {
    let levels = stock::levels_at(tx, levels)?;
    Ok(levels.into_iter().map(|(key, level)| (key, level.on_hand - level.withheld)).collect())
}

/// The same for those who ask often: the levels are looked at first, and whose goods lack is only asked of variants of which less lies
/// there, apart from the dock, than is allocated.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn lacking_of(
    tx: &mut Tx,
    now: Instant,
    location: LocationId,
    variants: &[VariantId],
) -> Result<HashMap<Line, i64>> {
    let keys: Vec<_> = variants.iter().map(|variant| (*variant, location)).collect();
    let levels = stock::levels_at(tx, &keys)?;
    let at_dock = store::open_at(tx, location)?;
    let at_dock = at_dock.iter().filter(|one| one.state == MatchState::Received);
    let at_dock: HashMap<VariantId, i64> =
        summed(at_dock.map(|one| (one.variant_id, one.quantity))).into_iter().collect();
    let scarce = |variant: &VariantId| {
        let dock = at_dock.get(variant).copied().unwrap_or_default();
        let level = levels.get(&(*variant, location));
        level.is_none_or(|level| level.on_hand - level.withheld - dock < level.allocated)
    };
    let scarce: Vec<VariantId> = variants.iter().copied().filter(scarce).collect();
    let lacking = lacking(tx, now, location, &scarce)?;
    Ok(lacking.into_iter().map(|one| ((one.fulfilment_order, one.line_no), one.quantity)).collect())
}

/// Lets the docks know that fulfilment orders are due at other times: what is planned for them may be late now, or is no more.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn follow_due(tx: &mut Tx, all: &[(FulfilmentOrderId, Instant)]) -> Result<()> {
    store::follow_due(tx, all)
}

fn claim(line: fulfilment_store::OpenLine, matched: i64) -> Claim {
    Claim {
        fulfilment_order: line.id,
        line_no: line.line_no,
        variant: line.variant,
        open: line.open,
        taken: line.taken,
        matched,
        kept_back: 0,
        // A hold for goods ends with goods.
        barred: line.barred,
        priority: line.priority,
        due_at: line.due_at,
        created_at: line.created_at,
    }
}

/// How much a locked dock can take, and how many pieces cross it on each day already: what has crossed it counts for the day on which
/// that was, what has not for the day on which it is ready, or today where that is past.
pub(super) fn room(tx: &mut Tx, now: Instant, place: &Location) -> Result<Room> {
    let (zone, a_day) = (place.time_zone.0, place.site.dock_units_per_day);
    let mut pieces: Vec<(NaiveDate, i64)> = Vec::new();
    if a_day.is_some() {
        let today = day_of(zone, now);
        let open = store::open_at(tx, place.id)?;
        pieces.extend(open.iter().map(|one| (day_of(zone, one.ready_at.max(now)), one.quantity)));
        pieces.push((today, store::done_since(tx, place.id, start_of_day(zone, today))?));
    }
    Ok(Room { a_day, used: summed(pieces.into_iter()).into_iter().collect(), zone })
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
            lot: supply.lot.clone(),
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
    let mut supplies = inbound::free(tx, location)?;
    for supply in &mut supplies {
        // What should have come already comes today at the earliest.
        supply.at = supply.at.max(doing.now);
    }
    let supplies = sellable(tx, doing.now, place.time_zone.0, supplies)?;
    let demands = demands(tx, doing.now, location, &supplies)?;
    if demands.is_empty() {
        return Ok(Vec::new());
    }
    let room = room(tx, doing.now, place)?;
    let matched = match_goods(&supplies, &demands, &rules, &room);
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
    let open = store::open_at(tx, location)?;
    let barred = withheld(tx, doing.now, &open)?;
    let (barred, mut open) = with_units(open.into_iter().partition(|one| barred.contains(&one.id)));
    let_go(tx, doing, draw, barred, "lot_withheld")?;
    let mut variants: Vec<VariantId> = open.iter().map(|one| one.variant_id).collect();
    variants.sort_unstable();
    variants.dedup();
    let lines = fulfilment_store::open_lines(tx, doing.now, location, &variants)?;
    let mut left: HashMap<Line, i64> = lines.iter().map(|line| ((line.id, line.line_no), line.open)).collect();
    // What is at the dock stays before what is still to come, what comes first before what comes later.
    open.sort_by_key(|one| (one.state != MatchState::Received, one.ready_at, one.id));
    let (gone, _) = with_units(open.into_iter().partition(|one| {
        let left = left.entry(line_of(one)).or_default();
        let stays = one.quantity <= *left;
        *left -= if stays { one.quantity } else { 0 };
        !stays
    }));
    let_go(tx, doing, draw, gone, "demand_gone")
}

/// Those that go, and those that stay. A handling unit passes with all that is in it, or is opened: what is left of it goes too and is
/// matched anew.
pub(super) fn with_units((mut gone, stay): (Vec<DockMatch>, Vec<DockMatch>)) -> (Vec<DockMatch>, Vec<DockMatch>) {
    let unit = |one: &DockMatch| Some((one.inbound_shipment_id, one.sscc.clone()?));
    let opened: HashSet<(InboundShipmentId, String)> = gone.iter().filter_map(unit).collect();
    let (with, stay): (Vec<DockMatch>, Vec<DockMatch>) =
        stay.into_iter().partition(|one| unit(one).is_some_and(|unit| opened.contains(&unit)));
    gone.extend(with);
    (gone, stay)
}

/// Those of matches whose goods are of lots that may not be sold.
pub(super) fn withheld(tx: &mut Tx, now: Instant, matches: &[DockMatch]) -> Result<HashSet<DockMatchId>> {
    if matches.is_empty() {
        return Ok(HashSet::new());
    }
    let shipments: BTreeSet<InboundShipmentId> = matches.iter().map(|one| one.inbound_shipment_id).collect();
    let numbers = inbound::lots_of(tx, shipments)?;
    let announced = |one: &DockMatch| numbers.get(&(one.inbound_shipment_id, one.inbound_line)).map(String::as_str);
    let wanted =
        matches.iter().filter_map(|one| Some((one.variant_id, one.lot.as_deref().or(announced(one))?))).collect();
    let mut barred = lots::known(tx, &wanted)?;
    barred.retain(|lot| lot.refused(now, None).is_some());
    let is_barred = |one: &&DockMatch| {
        one.lot
            .as_deref()
            .or(announced(one))
            .is_some_and(|of| barred.iter().any(|lot| (lot.variant_id, &*lot.number) == (one.variant_id, of)))
    };
    Ok(matches.iter().filter(is_barred).map(|one| one.id).collect())
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
        // What is let go of a handling unit is in it still.
        sscc: one.sscc.clone(),
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

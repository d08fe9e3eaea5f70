//! Pieces that another fulfilment order ships instead: moved to another location, split off, merged, planned anew.
//!
//! They always go into new fulfilment orders. What they come out of keeps them as `moved`, so that a location which is told of what
//! it need not ship, and another which is told of what it has to, need no more than that to be right.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;

use super::{
    dropship, facts,
    holds::{self, Hold, HoldKind, NewHold},
    ids::{Draw, Fresh},
    missed,
    model::{
        Command, Counts, FulfilmentLine, FulfilmentOrder, FulfilmentState, Pieces, ShippedLine, Step, derive,
        sum_pieces,
    },
    opening::kept_for,
    promises, ready,
    service::{all_arrived, announce, make_steps, place, plan, save_states, start},
    store,
    told::{CANCELLED, HELD, MOVED, OPENED, RELEASED, change, pieces_of, work_payload},
};
use crate::{
    catalog::{self, BackorderPolicy, Variant},
    db::Tx,
    error::{Code, Error, Result},
    events::Payload,
    jobs,
    kernel::{
        Actor, Instant, Quantity,
        ids::{FulfilmentOrderId, HoldId, LocationId, OrderId, VariantId},
    },
    orders::{self, OrderDocument},
    stock::{self, Entry, Locations, Need, Replaced, Replanned, Share, Sourcing, sourcing::Sources},
};

/// What is to be moved to another location.
#[derive(Debug, Clone)]
pub struct Move {
    /// Where to.
    pub location: LocationId,
    /// Which pieces; all that are not picked when absent.
    pub pieces: Option<Vec<Pieces>>,
    /// Why.
    pub reason: Option<String>,
}

/// What has become of a fulfilment order whose pieces went elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// It, with what is left of it.
    pub fulfilment_order: FulfilmentOrder,
    /// Those that ship the rest.
    pub moved_to: Vec<FulfilmentOrder>,
    /// What is nowhere to be had; it is held for `stock`.
    pub unplaced: Vec<ShippedLine>,
}

/// Pieces of one fulfilment order that are to go into a new one.
struct Portion {
    location: LocationId,
    steps: Vec<(i32, Step)>,
    /// Why it is held from the beginning, beside what holds go with it.
    held: Option<Hold>,
    /// For how many days its pieces have to keep, where they were planned anew; else for as many as before.
    keeps: Option<Option<i64>>,
}

/// What is done with a fulfilment order whose pieces go elsewhere.
#[derive(Default)]
struct Division<'a> {
    portions: Vec<Portion>,
    sourcing: Vec<Sourcing>,
    /// Why what is left of it is held.
    held: Option<Hold>,
    /// Whether it need not be held for `stock` any more.
    found: bool,
    /// Whether what goes elsewhere may be due later there.
    later: bool,
    reason: Option<&'a str>,
}

/// That nothing is asked for which the location has to answer first.
fn unasked(fulfilment: &FulfilmentOrder) -> Result<()> {
    match fulfilment.cancel_request {
        None => Ok(()),
        Some(_) => Err(Error::conflict("somebody has asked to cancel it: answer that first")),
    }
}

/// Lets another location ship pieces that are not picked. Their stock is allocated there instead, if it is available or may be
/// backordered.
///
/// # Errors
/// `not_found`, `state_conflict`, `line_unknown`, `quantity_exceeded`; `location_inactive`; `not_capable` with what the other location can
/// not do that the goods require; `out_of_stock` where it has too little.
pub fn move_to(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: FulfilmentOrderId,
    (what, locations): (&Move, &Locations),
) -> Result<Moved> {
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    let to = locations.get(what.location)?;
    if to.id == fulfilment.location_id {
        return Err(Error::invalid("/location", "it is there already"));
    }
    if !to.active {
        return Err(Error::problem(Code::LocationInactive, "nothing is moved to it").at("/location"));
    }
    let facts = facts::of(tx, now, (&order, fulfilment.delivery_key()), locations)?;
    if facts.only.is_some_and(|only| only != to.id) {
        return Err(Error::conflict("it is picked up where it is: nobody ships it from elsewhere").at("/location"));
    }
    if !to.site.serves(order.channel_id, Some(facts.country)) {
        return Err(Error::conflict("it ships no orders of this channel, or none to this country").at("/location"));
    }
    unasked(&fulfilment)?;
    let steps = plan(&fulfilment, Command::Move, what.pieces.as_deref(), now)?;
    let needs = needs(tx, &fulfilment, &steps)?;
    if let Some(need) = needs.iter().find(|need| !need.requires.are_had_by(&to.site.capabilities)) {
        return Err(stock::not_capable(need, &need.requires.missing_at(&to.site.capabilities)).at("/location"));
    }
    let keeps_until = fulfilment.shelf_life_days.map(|days| now.plus_seconds(86_400 * days));
    let replaced = |need: &Need| Replaced { share: share(need, to.id), guarded: !need.backorder, keeps_until };
    let shares: Vec<Replaced> = needs.iter().map(replaced).collect();
    let entries = stock::reallocations(&shares, fulfilment.location_id, Sources::of(locations, &facts).selling(now));
    let portions = vec![Portion { location: to.id, steps, held: None, keeps: None }];
    let division = Division { portions, reason: what.reason.as_deref(), ..Division::default() };
    let (draw, both) = (&mut fresh.draw(), (&mut order, &mut fulfilment));
    let moved_to = divide(tx, now, (actor, Command::Move), draw, both, (division, locations))?;
    promises::look_again(tx, now, order.id)?;
    stock::book(tx, now, actor, &entries, (Some(&order.id.to_string()), now), &[])?;
    Ok(Moved { fulfilment_order: fulfilment, moved_to, unplaced: Vec::new() })
}

/// Ships pieces on their own, from the same location; those that have come least far go first, and keep what was done to them.
///
/// # Errors
/// `not_found`, `state_conflict`, `line_unknown`; `quantity_exceeded`, also where nothing would be left.
pub fn split(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: FulfilmentOrderId,
    (pieces, reason, locations): (&[Pieces], Option<&str>, &Locations),
) -> Result<Moved> {
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    unasked(&fulfilment)?;
    let steps = plan(&fulfilment, Command::Split, Some(pieces), now)?;
    let open: i64 = fulfilment.counts().map(Counts::open).sum();
    if steps.iter().map(|(_, step)| step.moved).sum::<i64>() >= open {
        return Err(Error::problem(Code::QuantityExceeded, "splitting leaves something behind").at("/lines"));
    }
    let portions = vec![Portion { location: fulfilment.location_id, steps, held: None, keeps: None }];
    let division = Division { portions, reason, ..Division::default() };
    let (draw, both) = (&mut fresh.draw(), (&mut order, &mut fulfilment));
    let moved_to = divide(tx, now, (actor, Command::Split), draw, both, (division, locations))?;
    Ok(Moved { fulfilment_order: fulfilment, moved_to, unplaced: Vec::new() })
}

/// Ships what is left of several fulfilment orders of one order and one location together: a new one takes all of it over, with
/// what was done to it, and whatever held one of them.
///
/// # Errors
/// `not_found`; `state_conflict` where one is finished, or of another order or location, or a supplier has answered one.
pub fn merge(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    ids: &[FulfilmentOrderId],
    reason: Option<&str>,
) -> Result<FulfilmentOrder> {
    let first = ids.first().ok_or_else(|| Error::internal("nothing to merge"))?;
    let (mut order, kept) = start(tx, actor, *first)?;
    let (mut all, shipments) = (store::of_order(tx, order.id)?, store::shipments(tx, order.id)?);
    all.retain(|one| ids.contains(&one.id) && actor.sees_location(one.location_id));
    if all.len() != ids.len() {
        return Err(Error::not_found("fulfilment order of this order").at("/with"));
    }
    if all.iter().any(|one| one.location_id != kept.location_id) {
        return Err(Error::conflict("they are of several locations: move them first").at("/with"));
    }
    if all.iter().any(|one| one.delivery_key() != kept.delivery_key()) {
        return Err(Error::conflict("they are of several deliveries of the order").at("/with"));
    }
    dropship::unanswered(tx, ids)?;
    let mut draw = fresh.draw();
    let mut joint = offspring(&kept, draw.next(), kept.location_id, now);
    let (mut moves, mut happened) = (Vec::new(), Vec::new());
    for one in &mut all {
        unasked(one)?;
        let steps = plan(one, Command::Merge, None, now)?;
        join(&mut joint, one, &steps);
        joint.holds = united(&joint.holds, &one.holds, |_| true);
        joint.due_by_hand |= one.due_by_hand;
        let turns = (joint.turn_at.unwrap_or(joint.due_at), one.turn_at.unwrap_or(one.due_at));
        joint.turn_at = joint.turn_at.or(one.turn_at).map(|_| turns.0.min(turns.1));
        (joint.due_at, joint.priority) = (joint.due_at.min(one.due_at), joint.priority.max(one.priority));
        joint.accept_by = joint.accept_by.or(one.accept_by);
        joint.collect_by = joint.collect_by.max(one.collect_by);
        joint.declined |= one.declined;
        joint.missed = missed::united(&joint.missed, &one.missed);
        joint.shelf_life_days = joint.shelf_life_days.max(one.shelf_life_days);
        joint.created_at = joint.created_at.min(one.created_at);
        make_steps(one, &steps);
        let arrived = all_arrived(&shipments, one.id);
        one.advance(one.state.apply(Command::Merge, one.counts(), arrived)?, now);
        if one.collect_by.take().is_some() {
            store::save_plan(tx, one)?;
        }
        happened.push((CANCELLED, work_payload(&order, one, moved_of(one, &steps))?));
        happened.push((MOVED, change(one, moved_of(one, &steps), reason, &[joint.id])?));
        moves.extend(steps.into_iter().map(|(line_no, step)| (one.id, line_no, step)));
    }
    joint.taken_from = all.iter().map(|one| one.id).collect();
    happened.push((OPENED, work_payload(&order, &joint, Vec::new())?));
    store::move_lines(tx, &moves)?;
    save_states(tx, now, &all)?;
    open(tx, &mut draw, std::slice::from_ref(&joint), &[])?;
    happened.extend(ready::follow(tx, now, &order, &mut joint)?);
    orders::save(tx, now, &mut order, &[], place(happened.len()))?;
    announce(tx, (now, now), actor, &order, &mut draw, happened)?;
    Ok(joint)
}

/// What is to be planned anew.
#[derive(Debug, Clone, Default)]
pub struct Replan {
    /// Which pieces; all that are not picked when absent.
    pub pieces: Option<Vec<Pieces>>,
    /// Where they are not to come from.
    pub exclude: Vec<LocationId>,
    /// Why.
    pub reason: Option<String>,
    /// What else is booked with it, such as that the shelf is empty: levels are moved once, at the end.
    pub entries: Vec<Entry>,
    /// Whether its location has said that it does not ship it: then nothing is planned there any more.
    pub declined: bool,
    /// When a picker has not found them, where that is why: then nothing of them is planned there until somebody has looked.
    pub missed: Option<Instant>,
    /// Whether of pieces that are not there any more as many are planned anew as are left.
    pub at_most: bool,
    /// Whether somebody has just ended the hold of what no rule finds goods for: then it is not held again where it is.
    pub decided: bool,
    /// That they are moved only where they lie elsewhere.
    pub on_shelf: Option<OnShelf>,
    /// Whether what goes elsewhere is due when it can leave there, where that is later than it was.
    pub later: bool,
    /// Whether its order is looked at with it, so that its promise is moved to when it arrives now.
    pub review: bool,
}

/// What is planned anew only where it is on a shelf: all of it or nothing, unless told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnShelf {
    /// It leaves there before this day, where one is known.
    pub before: Option<NaiveDate>,
    /// Whether what lies elsewhere is moved though that is not all: the rest is held for `stock`.
    pub partly: bool,
}

impl OnShelf {
    /// Whether what was planned is all on shelves, and leaves them in time.
    fn fits(self, now: Instant, planned: &Replanned, locations: &Locations) -> bool {
        if self.partly {
            return true;
        }
        let in_time = |id: LocationId| {
            let leaves = locations.get(id).map(|place| place.leaves_on(now));
            leaves.is_ok_and(|day| self.before.is_none_or(|before| day < before))
        };
        planned.unplaced.is_empty() && planned.shares.iter().all(|one| in_time(one.share.location))
    }
}

/// Plans pieces that are not picked anew, with the planner that plans new orders, and moves them to where they are to be had now.
/// What is nowhere to be had stays where it is, apart from what can be worked on, and is held for `stock`.
///
/// # Errors
/// `not_found`, `state_conflict`, `line_unknown`, `quantity_exceeded`.
pub fn replan(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: FulfilmentOrderId,
    (what, locations): (&Replan, &Locations),
) -> Result<Moved> {
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    replan_locked(tx, now, (actor, Command::Move), &mut fresh.draw(), (&mut order, &mut fulfilment), (what, locations))
}

/// The same on an order that is locked.
pub(super) fn replan_locked(
    tx: &mut Tx,
    now: Instant,
    (actor, command): (&Actor, Command),
    draw: &mut Draw<'_>,
    (order, fulfilment): (&mut OrderDocument, &mut FulfilmentOrder),
    (what, locations): (&Replan, &Locations),
) -> Result<Moved> {
    unasked(fulfilment)?;
    let from = fulfilment.location_id;
    let pieces = match &what.pieces {
        Some(pieces) if what.at_most => Some(left_of(fulfilment, pieces)?),
        pieces => pieces.clone(),
    };
    let steps = plan(fulfilment, Command::Move, pieces.as_deref(), now)?;
    if what.declined && !fulfilment.declined {
        (fulfilment.declined, fulfilment.supplier_ships_at) = (true, None);
        store::save_plan(tx, fulfilment)?;
    }
    if what.missed.is_some_and(|at| missed::note(fulfilment, &steps, at)) {
        store::save_plan(tx, fulfilment)?;
    }
    let mut exclude = what.exclude.clone();
    // What its location has declined is not there for it, though the books say that it is.
    exclude.extend(fulfilment.declined.then_some(from));
    // Nor what another has declined of it before, however often it is planned anew or sent another way.
    let numbers = steps.iter().map(|(line_no, _)| *line_no).collect();
    let all = store::of_order(tx, order.id)?;
    let said_no = declined_among(&all, (fulfilment.number(), numbers));
    exclude.extend(said_no.into_iter().filter(|place| *place != from));
    // Nor is what a picker has not found, of that article.
    let barred = missed::standing(tx, &all)?;
    let needs = needs(tx, fulfilment, &steps)?;
    let facts = facts::of(tx, now, (order, fulfilment.delivery_key()), locations)?;
    let sources = Sources::of(locations, &facts).without(&exclude).barring(&barred);
    let planned = match what.on_shelf {
        None => stock::replan(tx, now, &needs, from, sources)?,
        Some(_) => stock::replan_on_shelf(tx, now, &needs, from, sources)?,
    };
    if what.on_shelf.is_some_and(|only| !only.fits(now, &planned, locations)) {
        return Ok(Moved { fulfilment_order: fulfilment.clone(), moved_to: Vec::new(), unplaced: Vec::new() });
    }
    let mut entries = what.entries.clone();
    entries.extend(stock::reallocations(&planned.shares, from, sources.selling(now)));
    let (mut portions, waits) = portions(&planned, from, (order.min_shelf_life_days, now));
    let missing: i64 = planned.unplaced.values().sum();
    let unplaced = moved_of(fulfilment, &steps_of(&planned.unplaced));
    // Somebody has just decided about it, or it is held already.
    let decided = what.decided || fulfilment.holds.iter().any(|hold| hold.kind == HoldKind::Sourcing);
    let waits = if decided { BTreeMap::new() } else { waits };
    let missed = nowhere(what.reason.as_deref()).placed(actor.label(), now);
    let stay = [(waits, holds::unsourced(now)), (planned.unplaced, missed)];
    let held = set_apart(fulfilment, &mut portions, stay);
    let division = Division {
        portions,
        sourcing: planned.sourcing,
        held,
        found: missing == 0 && what.pieces.is_none(),
        later: what.later && !fulfilment.due_by_hand,
        reason: what.reason.as_deref(),
    };
    let moved_to = divide(tx, now, (actor, command), draw, (order, fulfilment), (division, locations))?;
    match what.on_shelf {
        // What nobody else has waits for somebody to find it where it was missed.
        _ if what.review || (missing > 0 && !barred.is_empty()) => promises::await_goods(tx, now, order.id)?,
        None => promises::look_again(tx, now, order.id)?,
        Some(_) => {}
    }
    let events = draw.many(entries.len());
    let booked = stock::book(tx, now, actor, &entries, (Some(&order.id.to_string()), now), &events);
    booked.map_err(|error| match error.code() {
        // Somebody else has got there first: all of it is planned again.
        Code::OutOfStock => Error::overtaken("stock"),
        _ => error,
    })?;
    Ok(Moved { fulfilment_order: fulfilment.clone(), moved_to, unplaced })
}

/// The locations that have said of lines of an order's delivery that they do not ship them. One statement.
pub(super) fn declined_by(
    tx: &mut Tx,
    order: OrderId,
    (delivery, lines): (usize, BTreeSet<i32>),
) -> Result<BTreeSet<LocationId>> {
    Ok(declined_among(&store::of_order(tx, order)?, (delivery, lines)))
}

fn declined_among(all: &[FulfilmentOrder], (delivery, lines): (usize, BTreeSet<i32>)) -> BTreeSet<LocationId> {
    let of_them = |one: &&FulfilmentOrder| {
        one.declined && one.number() == delivery && one.lines.iter().any(|line| lines.contains(&line.line_no))
    };
    all.iter().filter(of_them).map(|one| one.location_id).collect()
}

/// Of pieces as many as are left to be moved: some may have been picked, cancelled or moved since they were missed.
fn left_of(fulfilment: &FulfilmentOrder, pieces: &[Pieces]) -> Result<Vec<Pieces>> {
    let left = |line_no: i32| {
        let line = fulfilment.lines.iter().find(|line| line.line_no == line_no);
        line.map_or(0, |line| line.counts.left_for(Command::Move))
    };
    let sums = sum_pieces(pieces)?.into_iter().map(|(line_no, most)| (line_no, left(line_no).min(most)));
    sums.filter(|(_, pieces)| *pieces > 0)
        .map(|(line_no, pieces)| Ok(Pieces { line_no, quantity: Quantity::new(pieces).map_err(Error::internal)? }))
        .collect()
}

fn nowhere(reason: Option<&str>) -> NewHold {
    let reason = reason.unwrap_or("no location has it").to_owned();
    NewHold { kind: HoldKind::Stock, reason, owner: None, expires_at: None }
}

/// What goes to each other location, in the order of these, what a sourcing profile's fallback holds there apart from what can be worked
/// on; and how many pieces of which lines it holds where they are.
fn portions(
    planned: &Replanned,
    from: LocationId,
    (min_shelf_life_days, now): (Option<i64>, Instant),
) -> (Vec<Portion>, BTreeMap<i32, i64>) {
    let (unsourced, lives) = (stock::held_lines(&planned.sourcing), stock::shelf_lives(&planned.sourcing));
    // All of it is of one delivery.
    let delivery = planned.shares.first().map_or(0, |one| one.share.delivery);
    let mut by_location: BTreeMap<(LocationId, bool), BTreeMap<i32, i64>> = BTreeMap::new();
    for Replaced { share, .. } in &planned.shares {
        let lines = by_location.entry((share.location, unsourced.contains(&share.spot()))).or_default();
        *lines.entry(share.line_no).or_insert(0) += share.quantity;
    }
    let waits = by_location.remove(&(from, true)).unwrap_or_default();
    by_location.remove(&(from, false));
    let portion = |((location, is_held), lines): ((LocationId, bool), BTreeMap<i32, i64>)| Portion {
        location,
        steps: steps_of(&lines),
        held: is_held.then(|| holds::unsourced(now)),
        keeps: Some(min_shelf_life_days.max(kept_for(lines.keys().map(|line| (*line, delivery)), &lives))),
    };
    (by_location.into_iter().map(portion).collect(), waits)
}

/// Sets apart what stays where it is and is held, so that it does not hold up what can be worked on. The last of it stays in the
/// fulfilment order where nothing else does: then that is held, for what this returns.
fn set_apart(
    fulfilment: &FulfilmentOrder,
    portions: &mut Vec<Portion>,
    stay: [(BTreeMap<i32, i64>, Hold); 2],
) -> Option<Hold> {
    let open: i64 = fulfilment.counts().map(Counts::open).sum();
    let mut left = open - pieces_in(portions);
    for (lines, hold) in stay {
        let pieces: i64 = lines.values().sum();
        if pieces > 0 && pieces == left {
            return Some(hold);
        }
        if pieces > 0 {
            left -= pieces;
            let (location, steps) = (fulfilment.location_id, steps_of(&lines));
            portions.push(Portion { location, steps, held: Some(hold), keeps: None });
        }
    }
    None
}

/// The steps that take so many pieces of lines away, none of which is picked.
pub(super) fn steps_of(lines: &BTreeMap<i32, i64>) -> Vec<(i32, Step)> {
    let step =
        |(line_no, pieces): (&i32, &i64)| (*line_no, Step { cancelled: *pieces, moved: *pieces, ..Step::default() });
    lines.iter().map(step).collect()
}

fn pieces_in(portions: &[Portion]) -> i64 {
    portions.iter().flat_map(|portion| &portion.steps).map(|(_, step)| step.moved).sum()
}

fn moved_of(fulfilment: &FulfilmentOrder, steps: &[(i32, Step)]) -> Vec<ShippedLine> {
    pieces_of(fulfilment, steps, |step| step.moved)
}

/// What pieces of a fulfilment order need of stock, wherever they come from.
pub(super) fn needs(tx: &mut Tx, fulfilment: &FulfilmentOrder, steps: &[(i32, Step)]) -> Result<Vec<Need>> {
    let moving = |line: &&FulfilmentLine| steps.iter().any(|(line_no, _)| *line_no == line.line_no);
    let lines: Vec<&FulfilmentLine> = fulfilment.lines.iter().filter(moving).collect();
    let variants: Vec<VariantId> = lines.iter().map(|line| line.variant_id).collect();
    let known: HashMap<VariantId, Variant> =
        catalog::by_ids(tx, &variants)?.into_iter().map(|variant| (variant.id, variant)).collect();
    let allows = |variant: &Variant| variant.backorder_policy == BackorderPolicy::Allow;
    let need = |(place, line): (usize, &&FulfilmentLine)| Need {
        place,
        line_no: line.line_no,
        delivery: fulfilment.delivery.as_ref().map_or(0, |one| one.number),
        variant: line.variant_id,
        quantity: steps.iter().filter(|(line_no, _)| *line_no == line.line_no).map(|(_, step)| step.moved).sum(),
        tracked: line.tracked,
        backorder: known.get(&line.variant_id).is_some_and(allows),
        requires: known.get(&line.variant_id).map(|variant| variant.requires.clone()).unwrap_or_default(),
    };
    Ok(lines.iter().enumerate().map(need).collect())
}

fn share(need: &Need, location: LocationId) -> Share {
    let Need { line_no, delivery, variant, quantity, tracked, .. } = *need;
    Share { line_no, delivery, variant, location, quantity, tracked }
}

/// A new fulfilment order beside another of the same order, with nothing to ship yet. Its claim to the goods is as old as the other's.
fn offspring(of: &FulfilmentOrder, id: FulfilmentOrderId, location: LocationId, now: Instant) -> FulfilmentOrder {
    FulfilmentOrder {
        id,
        location_id: location,
        state: FulfilmentState::Open,
        state_since: now,
        version: 1,
        holds: Vec::new(),
        accept_by: of.accept_by.filter(|_| location == of.location_id),
        collect_by: of.collect_by.filter(|_| location == of.location_id),
        cancel_request: None,
        supplier_ships_at: of.supplier_ships_at.filter(|_| location == of.location_id),
        declined: of.declined && location == of.location_id,
        missed: if location == of.location_id { of.missed.clone() } else { Vec::new() },
        taken_from: vec![of.id],
        lines: Vec::new(),
        updated_at: now,
        ..of.clone()
    }
}

/// Takes what steps take out of a fulfilment order, which have not been made yet, into another.
fn join(into: &mut FulfilmentOrder, from: &FulfilmentOrder, steps: &[(i32, Step)]) {
    for (line_no, step) in steps {
        let Some(line) = from.lines.iter().find(|line| line.line_no == *line_no) else { continue };
        match into.lines.iter_mut().find(|own| own.line_no == *line_no) {
            Some(own) => own.counts = own.counts.with_taken(step),
            None => into.lines.push(FulfilmentLine { counts: Counts::default().with_taken(step), ..line.clone() }),
        }
    }
    into.lines.sort_by_key(|line| line.line_no);
    into.state = derive(into.counts(), false);
}

/// Holds of both, one of a kind.
fn united(own: &[Hold], others: &[Hold], which: impl Fn(&Hold) -> bool) -> Vec<Hold> {
    let mut all = own.to_vec();
    for hold in others.iter().filter(|hold| which(hold)) {
        if all.iter().all(|one| one.kind != hold.kind) {
            all.push(hold.clone());
        }
    }
    all
}

/// Takes portions out of a fulfilment order into new ones, and writes all of them, their holds and the order; only the stock levels
/// are left to the caller, who moves them last. Holds go with the pieces; only that for `stock` was for another place. Nothing
/// happens where there is nothing to do.
fn divide(
    tx: &mut Tx,
    now: Instant,
    (actor, command): (&Actor, Command),
    draw: &mut Draw<'_>,
    (order, from): (&mut OrderDocument, &mut FulfilmentOrder),
    (division, locations): (Division<'_>, &Locations),
) -> Result<Vec<FulfilmentOrder>> {
    let Division { portions, sourcing, held, found, later, reason } = division;
    let (mut opened, mut taken) = (Vec::with_capacity(portions.len()), BTreeMap::<i32, Step>::new());
    for Portion { location, steps, held, keeps } in portions {
        let mut one = offspring(from, draw.next(), location, now);
        one.shelf_life_days = keeps.unwrap_or(one.shelf_life_days);
        if location != from.location_id {
            let place = locations.get(location).ok();
            one.accept_by = place.and_then(|place| place.accept_by(now));
            if let Some(due_at) = place.map(|place| place.due_at(now)).filter(|at| later && *at > one.due_at) {
                (one.turn_at, one.due_at) = (one.turn_at.or(Some(one.due_at)), due_at);
            }
        }
        join(&mut one, from, &steps);
        one.collect_by = one.collect_by.filter(|_| one.state == FulfilmentState::Packed);
        let goes_along = |hold: &Hold| hold.kind != HoldKind::Stock && hold.holds_at(now);
        one.holds = united(held.as_slice(), &from.holds, goes_along);
        make_steps(from, &steps);
        for (line_no, step) in steps {
            let sum = taken.entry(line_no).or_default();
            *sum = sum.and(&step);
        }
        opened.push(one);
    }
    let taken: Vec<(i32, Step)> = taken.into_iter().collect();
    let released = found && from.holds.iter().any(|hold| hold.kind == HoldKind::Stock);
    let held = held.filter(|new| from.holds.iter().all(|hold| hold.kind != new.kind));
    if opened.is_empty() && held.is_none() && !released {
        return Ok(opened);
    }
    let state = match opened.is_empty() {
        true => from.state,
        false => {
            let arrived = all_arrived(&store::shipments(tx, order.id)?, from.id);
            from.state.apply(command, from.counts(), arrived)?
        }
    };
    from.advance(state, now);
    let moves: Vec<_> = taken.iter().map(|(line_no, step)| (from.id, *line_no, *step)).collect();
    if !moves.is_empty() {
        store::move_lines(tx, &moves)?;
    }
    if released {
        holds::end(tx, now, from, &[HoldKind::Stock], &actor.label())?;
    }
    if let Some(new) = &held {
        holds::store::insert(tx, &[(draw.next(), from.id, new)])?;
        from.holds.push(new.clone());
    }
    save_states(tx, now, [&*from])?;
    open(tx, draw, &opened, &sourcing)?;
    // What a supplier has said of the whole is said of its parts.
    let heirs: Vec<FulfilmentOrderId> =
        opened.iter().filter(|one| one.location_id == from.location_id).map(|one| one.id).collect();
    if !heirs.is_empty() {
        dropship::inherit(tx, now, from.id, &heirs)?;
    }
    let is_ready = ready::follow(tx, now, order, from)?;
    let mut happened = told(order, from, (&opened, &taken), (held.is_some(), released), reason)?;
    happened.extend(is_ready);
    orders::save(tx, now, order, &[], place(happened.len()))?;
    announce(tx, (now, now), actor, order, draw, happened)?;
    // What was reported of it may have waited for a hold that has ended.
    jobs::hasten_keys(tx, now, &orders::after(order.id))?;
    Ok(opened)
}

/// What is told of it: what is not to be shipped any more, where it went, and what others have to ship.
fn told(
    order: &OrderDocument,
    from: &FulfilmentOrder,
    (opened, taken): (&[FulfilmentOrder], &[(i32, Step)]),
    (held, released): (bool, bool),
    reason: Option<&str>,
) -> Result<Vec<(&'static str, Payload)>> {
    let mut happened = Vec::with_capacity(opened.len() + 3);
    if !opened.is_empty() {
        let to: Vec<FulfilmentOrderId> = opened.iter().map(|one| one.id).collect();
        happened.push((CANCELLED, work_payload(order, from, moved_of(from, taken))?));
        happened.push((MOVED, change(from, moved_of(from, taken), reason, &to)?));
    }
    for one in opened {
        happened.push((OPENED, work_payload(order, one, Vec::new())?));
    }
    for (kind, is_so) in [(HELD, held), (RELEASED, released)] {
        if is_so {
            happened.push((kind, change(from, Vec::new(), reason, &[])?));
        }
    }
    Ok(happened)
}

/// Writes new fulfilment orders with their holds.
fn open(tx: &mut Tx, draw: &mut Draw<'_>, opened: &[FulfilmentOrder], sourcing: &[Sourcing]) -> Result<()> {
    if opened.is_empty() {
        return Ok(());
    }
    store::insert(tx, opened, sourcing)?;
    let held = opened.iter().flat_map(|one| one.holds.iter().map(move |hold| (one.id, hold)));
    let held: Vec<(HoldId, FulfilmentOrderId, &Hold)> = held.map(|(id, hold)| (draw.next(), id, hold)).collect();
    if held.is_empty() { Ok(()) } else { holds::store::insert(tx, &held) }
}

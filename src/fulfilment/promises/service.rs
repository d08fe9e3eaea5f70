//! Looking at an order that waits again: when its goods come now, whether they are to be had elsewhere sooner, and what that makes of its
//! promise.
//!
//! Everything is read under the lock of the order, after what has changed was committed: however many changes there are at once, the last
//! look sees all of them, and one that finds nothing new tells nothing.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;
use serde::Serialize;

use super::{
    due::{self, REVIEWER},
    jobs::{look_again_at, review_again, review_later},
    model::{Line, served},
    store,
};
use crate::{
    carts::{self, MoveReason, MovedPromise, Origin, Promise},
    channels::{Channel, Directory},
    db::{Json, Tx},
    error::{Code, Error, Result},
    events::EventSchema,
    fulfilment::{
        crossdock, dropship,
        holds::{self, HoldKind},
        ids::Draw,
        missed,
        model::{Command, FulfilmentLine, FulfilmentOrder, Pieces},
        moves::{self, OnShelf, Replan},
        service::announce,
        shortages, store as fulfilment_store,
    },
    kernel::{
        Country, Instant, Quantity,
        ids::{FulfilmentOrderId, LocationId, OrderId, VariantId},
        local,
    },
    orders::{self, OrderDocument, OrderState},
    pricing::Rules,
    stock::{LevelKey, Locations, outlook},
};

/// The type of the event that an order arrives on another day than was told.
const PROMISE_CHANGED: &str = "order.promise_changed.v1";

/// What `order.promise_changed.v1` says: the order, and what was told before.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OrderPromiseChanged)]
struct PromiseChanged<'a> {
    #[serde(flatten)]
    order: &'a OrderDocument,
    /// The key of the delivery that is meant; absent where the order has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<&'a str>,
    /// How its promise was moved.
    reason: MoveReason,
    /// What was promised when it was placed; absent where nobody knew.
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<Promise>,
    /// What was told last; absent where nobody knew.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Promise>,
    /// What is known now; absent where nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Promise>,
}

/// What the events of this part carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    vec![EventSchema::of::<PromiseChanged<'_>>(PROMISE_CHANGED)]
}

/// Keeps until when an order's goods have arrived as it was promised, and whether it waits for some of them. One that waits is looked at
/// again at once: what is to come may have changed while it was placed, or goods may have `arrived`. No statement where nothing was promised
/// and nothing waits.
///
/// # Errors
/// What the database says.
pub fn keep_promise(
    tx: &mut Tx,
    now: Instant,
    order: OrderId,
    (until, waits, arrived): (Option<Instant>, bool, bool),
) -> Result<()> {
    if let Some(until) = until {
        store::promise(tx, order, until)?;
    }
    if waits {
        store::wait(tx, now, order)?;
        if arrived { review_again(tx, now, order) } else { review_later(tx, now, &[order]) }?;
    }
    Ok(())
}

/// Notes that an order waits for goods that it had, and has it looked at: its promise, and when it is due, are moved to when they come.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn await_goods(tx: &mut Tx, now: Instant, order: OrderId) -> Result<()> {
    store::wait(tx, now, order)?;
    review_later(tx, now, &[order])
}

/// Whether an order waits for goods.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn waits(tx: &mut Tx, order: OrderId) -> Result<bool> {
    store::waits(tx, order)
}

/// Has an order looked at again that waits for goods: what was planned of it is so no more. Nothing happens to another.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn look_again(tx: &mut Tx, now: Instant, order: OrderId) -> Result<()> {
    if store::waits(tx, order)? { review_later(tx, now, &[order]) } else { Ok(()) }
}

/// Ends the holds of what had gone missing, or was not found, and is here again.
fn release_found(
    tx: &mut Tx,
    now: Instant,
    draw: &mut Draw<'_>,
    order: &mut OrderDocument,
    (works, waiting): (&mut [FulfilmentOrder], &HashMap<Line, Option<Instant>>),
) -> Result<()> {
    let by = shortages::ACTOR.label();
    for work in works {
        let ends = |placed_by: &str| placed_by == by || !work.missed.is_empty();
        let missed = work.holds.iter().any(|hold| hold.kind == HoldKind::Stock && ends(&hold.placed_by));
        let lacks = work.lines.iter().any(|line| waiting.contains_key(&(work.id, line.line_no)));
        if missed && !lacks && !work.declined {
            holds::found(tx, now, &REVIEWER, draw, (&mut *order, work))?;
        }
    }
    Ok(())
}

/// What is known where an order is looked at.
#[derive(Clone, Copy)]
pub(super) struct Knowing<'a> {
    pub now: Instant,
    pub locations: &'a Locations,
    pub directory: &'a Directory,
    pub rules: &'a Rules,
}

/// Looks at an order again. What is to be had elsewhere sooner than it comes is planned anew, and looked at once more then; else the promise
/// is moved, and an event tells so where it was another. Nothing happens to an order that does not wait. Where goods have `arrived`, what
/// is on its way in time is planned anew too, if it leaves sooner so.
///
/// # Errors
/// What the database says.
pub(super) fn review(
    tx: &mut Tx,
    knowing: Knowing<'_>,
    draw: &mut Draw<'_>,
    (id, arrived): (OrderId, bool),
) -> Result<()> {
    let mut order = match orders::lock(tx, id) {
        Err(error) if error.code() == Code::NotFound => return Ok(()),
        found => found?,
    };
    if !store::waits(tx, id)? {
        return Ok(());
    }
    let mut works = fulfilment_store::of_order(tx, id)?;
    works.retain(|work| work.state.is_open() && work.lines.iter().any(|line| line.counts.open() > 0));
    if order.state != OrderState::Placed || works.is_empty() {
        return store::end(tx, knowing.now, id);
    }
    let waiting = waiting(tx, knowing, &works)?;
    release_found(tx, knowing.now, draw, &mut order, (&mut works, &waiting))?;
    let channel = knowing.directory.get(order.channel_id)?;
    let mut moves = Vec::new();
    for number in 0..order.deliveries.len() {
        let (mut own, others): (Vec<_>, Vec<_>) = works.into_iter().partition(|work| work.number() == number);
        let of = (&mut order, channel, number);
        let found = look_at(tx, knowing, draw, of, (&mut own, &waiting, arrived))?;
        works = others;
        works.append(&mut own);
        match found {
            // Where its goods come from has changed, and with it when they come.
            Seen::PlannedAnew => {
                // Those who wait where it does not wait any more have one in front of them less.
                let waits =
                    |work: &FulfilmentOrder, line: &FulfilmentLine| waiting.contains_key(&(work.id, line.line_no));
                let left = works.iter().flat_map(|work| {
                    let lines = work.lines.iter().filter(|line| waits(work, line));
                    lines.map(|line| (line.variant_id, work.location_id))
                });
                look_again_at(tx, knowing.now, left.collect())?;
                return if arrived { review_again(tx, knowing.now, id) } else { review_later(tx, knowing.now, &[id]) };
            }
            Seen::Moved(was, is) => moves.push((number, was, is)),
            Seen::Done => {}
        }
    }
    due::follow(tx, knowing, draw, (&mut order, channel), (&mut works, &waiting))?;
    if waiting.is_empty() {
        store::end(tx, knowing.now, id)?;
    }
    for (number, was, is) in moves {
        move_promise(tx, knowing.now, draw, (&mut order, channel, number), (was, is))?;
    }
    Ok(())
}

/// What was seen of a delivery.
enum Seen {
    /// Its goods come from elsewhere now.
    PlannedAnew,
    /// It was told to arrive by the one, and arrives by the other.
    Moved(Option<Promise>, Option<Promise>),
    /// There is nothing of it that could come on another day.
    Done,
}

/// Looks at one delivery of an order that waits, by its open fulfilment orders.
fn look_at(
    tx: &mut Tx,
    knowing: Knowing<'_>,
    draw: &mut Draw<'_>,
    (order, channel, number): (&mut OrderDocument, &Channel, usize),
    (works, waiting, arrived): (&mut [FulfilmentOrder], &HashMap<Line, Option<Instant>>, bool),
) -> Result<Seen> {
    if works.is_empty() {
        return Ok(Seen::Done);
    }
    let own = |line: &Line| works.iter().any(|work| work.id == line.0);
    let waiting: HashMap<Line, Option<Instant>> =
        waiting.iter().filter(|(line, _)| own(line)).map(|(line, comes)| (*line, *comes)).collect();
    let ships_by = ships_by(knowing, channel, order, (works, &waiting));
    let delivery = order.deliveries.get(number);
    let was = delivery.and_then(carts::Delivery::promised_now);
    let redirected = delivery.is_some_and(|delivery| delivery.redirected_at.is_some());
    // What was told once is tried to be kept, even where something else was told since.
    let best = delivery.and_then(|delivery| delivery.promise).or(was);
    if (arrived || is_worse(best, ships_by)) && elsewhere(tx, knowing, draw, order, (works, &waiting, ships_by))? {
        return Ok(Seen::PlannedAnew);
    }
    let own_way = own_way(knowing, channel, order, number);
    // What was sent another way goes by that.
    let way = was.map(|was| was.way()).filter(|_| !redirected || own_way.is_none()).or(own_way);
    Ok(Seen::Moved(was, ships_by.zip(way).map(|(day, way)| Promise::leaving(day, way))))
}

/// The working days of the way of a delivery's method.
fn own_way(knowing: Knowing<'_>, channel: &Channel, order: &OrderDocument, number: usize) -> Option<(i32, i32)> {
    let delivery = order.deliveries.get(number)?;
    let country = delivery.country().or_else(|| order.billing_address.as_ref().map(|address| address.country));
    carts::way(knowing.rules, channel, (delivery.method.as_deref()?, country.unwrap_or(Country::DEFAULT)))
}

/// The open fulfilment orders among these that lack goods, with when the last of these comes: none where nobody knows. As many statements
/// for all of them as for one.
///
/// # Errors
/// What the database says.
pub fn comes(
    tx: &mut Tx,
    now: Instant,
    locations: &Locations,
    works: &[FulfilmentOrder],
) -> Result<HashMap<FulfilmentOrderId, Option<Instant>>> {
    let open: Vec<FulfilmentOrder> = works.iter().filter(|work| work.state.is_open()).cloned().collect();
    let mut found: HashMap<FulfilmentOrderId, Option<Instant>> = HashMap::new();
    for ((work, _), comes) in waiting_at(tx, now, locations, &open)? {
        let last = |known: Option<Instant>| Some(known?.max(comes?));
        found.entry(work).and_modify(|known| *known = last(*known)).or_insert(comes);
    }
    Ok(found)
}

/// When what the lines wait for comes which lack goods: none where nobody knows. As many statements for all of them as for one.
fn waiting(tx: &mut Tx, knowing: Knowing<'_>, works: &[FulfilmentOrder]) -> Result<HashMap<Line, Option<Instant>>> {
    waiting_at(tx, knowing.now, knowing.locations, works)
}

fn waiting_at(
    tx: &mut Tx,
    now: Instant,
    locations: &Locations,
    works: &[FulfilmentOrder],
) -> Result<HashMap<Line, Option<Instant>>> {
    let taking = |work: &FulfilmentOrder| {
        let place = work.location_id;
        work.lines.iter().filter(|line| to_take(line) > 0).map(move |line| (line.variant_id, place)).collect::<Vec<_>>()
    };
    let levels: BTreeSet<LevelKey> = works.iter().flat_map(taking).collect();
    let levels: Vec<LevelKey> = levels.into_iter().collect();
    let mut lacking = crossdock::lacking_at(tx, now, &levels)?;
    missed::add_to(tx, works, &mut lacking)?;
    let mut found = HashMap::new();
    if lacking.is_empty() {
        return Ok(found);
    }
    let keys: Vec<LevelKey> = levels.into_iter().filter(|(_, place)| lacking.contains_key(place)).collect();
    let mut supplies: HashMap<LocationId, HashMap<VariantId, outlook::Supply>> = HashMap::new();
    for ((variant, place), supply) in outlook::supplies(tx, now, locations, &keys)? {
        supplies.entry(place).or_default().insert(variant, supply);
    }
    for (place, demands) in lacking {
        found.extend(served(demands, &supplies.remove(&place).unwrap_or_default()));
    }
    let own: HashSet<Line> =
        works.iter().flat_map(|work| work.lines.iter().map(|line| (work.id, line.line_no))).collect();
    found.retain(|line, _| own.contains(line));
    Ok(found)
}

/// How many pieces of a line are still to be taken from the shelf.
const fn to_take(line: &FulfilmentLine) -> i64 {
    if line.tracked { line.counts.left_for(Command::Move) } else { 0 }
}

/// The day on which the last of what an order still lacks leaves; none where nobody knows.
fn ships_by(
    knowing: Knowing<'_>,
    channel: &Channel,
    order: &OrderDocument,
    (works, waiting): (&[FulfilmentOrder], &HashMap<Line, Option<Instant>>),
) -> Option<NaiveDate> {
    let zone = |id| knowing.locations.get(id).map_or(channel.settings.time_zone.0, |place| place.time_zone.0);
    let (mut origins, mut said) = (Vec::with_capacity(works.len()), None);
    for work in works {
        let own = work.lines.iter().filter_map(|line| waiting.get(&(work.id, line.line_no)));
        let comes: Option<Vec<Instant>> = own.copied().collect();
        // What has come is there from now on: until now it was waited for.
        let there = waiting.is_empty().then_some(knowing.now);
        let by_supplier = work.supplier_ships_at.map(|at| local::day_of(zone(work.location_id), at));
        said = said.max(by_supplier);
        // A supplier who has said when they ship it knows more than the books do of their stock.
        let comes = if by_supplier.is_some() { comes.unwrap_or_default() } else { comes? };
        origins.push(Origin { location: work.location_id, comes: comes.into_iter().max().or(there) });
    }
    let day = carts::ships_by(channel, (knowing.locations, &origins), order.placed_at)?;
    Some(said.map_or(day, |said| said.max(day)))
}

/// Whether an order would leave later than was told, or nobody knows any more when. Of one that was never told a day nothing is worse: it
/// was placed where it waits.
fn is_worse(was: Option<Promise>, ships_by: Option<NaiveDate>) -> bool {
    was.is_some_and(|was| ships_by.is_none_or(|day| day > was.ships_by))
}

/// Plans one of the fulfilment orders anew that lack goods, where another location has all that it lacks and ships it sooner. It is the
/// last that is done: it moves the levels.
fn elsewhere(
    tx: &mut Tx,
    knowing: Knowing<'_>,
    draw: &mut Draw<'_>,
    order: &mut OrderDocument,
    (works, waiting, before): (&mut [FulfilmentOrder], &HashMap<Line, Option<Instant>>, Option<NaiveDate>),
) -> Result<bool> {
    // What a sourcing profile holds is planned anew by whoever releases it.
    let held = |work: &FulfilmentOrder| {
        work.holds.iter().any(|hold| hold.kind == HoldKind::Sourcing && hold.holds_at(knowing.now))
    };
    // What its supplier has said that they ship stays there.
    let ids: Vec<FulfilmentOrderId> = works.iter().map(|work| work.id).collect();
    let kept = dropship::acknowledged(tx, &ids)?;
    let is_free = |work: &FulfilmentOrder| work.cancel_request.is_none() && !held(work) && !kept.contains(&work.id);
    for work in works.iter_mut().filter(|work| is_free(work)) {
        let lacks = |line: &&FulfilmentLine| waiting.contains_key(&(work.id, line.line_no)) && to_take(line) > 0;
        let pieces = work.lines.iter().filter(lacks).map(|line| {
            let quantity = Quantity::new(to_take(line)).map_err(Error::internal)?;
            Ok(Pieces { line_no: line.line_no, quantity })
        });
        let pieces: Vec<Pieces> = pieces.collect::<Result<_>>()?;
        if pieces.is_empty() {
            continue;
        }
        let what = Replan {
            pieces: Some(pieces),
            reason: Some("the goods are to be had elsewhere sooner".to_owned()),
            on_shelf: Some(OnShelf { before, partly: false }),
            ..Replan::default()
        };
        let by = (&REVIEWER, Command::Move);
        match moves::replan_locked(tx, knowing.now, by, draw, (&mut *order, work), (&what, knowing.locations)) {
            Ok(moved) if moved.moved_to.is_empty() => {}
            Ok(_) => return Ok(true),
            // Where it stands now, nothing of it goes elsewhere.
            Err(error) if error.code() == Code::StateConflict => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Moves the promise of one of an order's deliveries, and tells so; nothing where it stays.
pub(super) fn move_promise(
    tx: &mut Tx,
    now: Instant,
    draw: &mut Draw<'_>,
    (order, channel, number): (&mut OrderDocument, &Channel, usize),
    (was, is): (Option<Promise>, Option<Promise>),
) -> Result<()> {
    let Some(reason) = MoveReason::of(was, is) else { return Ok(()) };
    let Some(delivery) = order.deliveries.get_mut(number) else { return Ok(()) };
    delivery.current_promise = Some(MovedPromise { promise: is, reason, changed_at: now });
    let (original, key) = (delivery.promise, delivery.key.clone());
    orders::save_deliveries(tx, order)?;
    // Taking a day back does not keep it: where nobody knows any more, the one told before goes on counting.
    if let Some(until) = is.map(|is| is.until(channel.settings.time_zone.0)) {
        match key {
            None => store::tell(tx, now, order.id, until)?,
            Some(_) => fulfilment_store::tell_until(tx, order.id, number, until)?,
        }
    }
    orders::save(tx, now, order, &[], 1)?;
    let payload = order.payload_of(Some(number), |order| {
        let delivery = order.deliveries.get(number).and_then(|delivery| delivery.key.as_deref());
        Json::of(&PromiseChanged { order, delivery, reason, original, before: was, now: is })
    })?;
    announce(tx, (now, now), &REVIEWER, order, draw, vec![(PROMISE_CHANGED, payload)])
}

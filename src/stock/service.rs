//! Commands on levels: reserve, release, consume, allocate, ship and their opposites.
//!
//! Every command first locks reservations (in the order of their ids), then writes rows, and moves the levels last (in
//! key order, with one statement), so no two commands wait for each other in a circle. Only what is told of goods that left
//! or came back is written behind that, for events follow what they tell of.

use std::collections::{BTreeMap, HashMap};

use super::{
    available::Available,
    lots,
    market::Market,
    model::{Level, LevelChange, LevelKey, MovementKind, Need, NewMovement, Occasion, Selling, Share, sum_changes},
    outlook,
    plan::{NoPlan, Plan, Planned},
    shortage,
    sourcing::{Sources, planned as plan},
    store,
    told::{self, Cause, ChangeKind, Changed},
    trace::{Sourcing, Spot},
};
use crate::{
    catalog::{self, Variant},
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    kernel::{
        Actor, Capabilities, Instant, Quantity,
        ids::{CartId, EventId, VariantId},
    },
};

/// What can be sold of articles at all locations together that give them to a market; absent is none. A location that owes more than it
/// has takes nothing from what lies elsewhere, as a plan divides it. One statement.
///
/// # Errors
/// What the database says.
pub fn availability<'v>(
    tx: &mut Tx,
    wanted: impl Iterator<Item = &'v Variant>,
    (selling, market): (Selling, Market<'_>),
) -> Result<HashMap<VariantId, i64>> {
    // Named twice it would count twice.
    let wanted: BTreeMap<VariantId, &Capabilities> = wanted.map(|variant| (variant.id, &variant.requires)).collect();
    let ids: Vec<VariantId> = wanted.keys().copied().collect();
    let levels = if ids.is_empty() { Vec::new() } else { store::availability(tx, &ids, selling)? };
    let (served, mut sums) = (market.served(), HashMap::<VariantId, i64>::new());
    for ((variant, location), sellable) in levels {
        let given = wanted.get(&variant).is_some_and(|requires| served.by(location, requires));
        let sum = sums.entry(variant).or_default();
        *sum = sum.saturating_add(if given { sellable.max(0) } else { 0 });
    }
    Ok(sums)
}

/// When the first pieces of variants came, anywhere; one of which none ever came is absent. One statement, which looks at the
/// beginning of each variant's movements only.
///
/// # Errors
/// What the database says.
pub fn first_received(tx: &mut Tx, variants: &[VariantId]) -> Result<HashMap<VariantId, Instant>> {
    if variants.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(store::first_received(tx, variants)?.into_iter().collect())
}

/// What a cart's reservations hold of variants: it is not among what can be sold, and is there for the cart all the same. One
/// statement.
///
/// # Errors
/// What the database says.
pub fn held(tx: &mut Tx, cart: CartId) -> Result<HashMap<VariantId, i64>> {
    Ok(store::held(tx, cart)?.into_iter().collect())
}

/// Where a cart's reservations hold its goods, and why there. One statement.
///
/// # Errors
/// What the database says.
pub fn held_at(tx: &mut Tx, cart: CartId) -> Result<(Vec<Share>, Vec<Sourcing>)> {
    store::held_at(tx, cart)
}

/// What becomes of the pieces that a command takes.
#[derive(Clone, Copy)]
enum Taking<'a> {
    /// A cart holds them for a while.
    Reserve { cart: CartId, expires_at: Instant },
    /// An order has them.
    Allocate(Occasion<'a>),
}

/// Holds stock for a cart until `expires_at`: whole quantities or nothing, from one location when possible.
///
/// The cart must hold none: a second call is refused ([`release`] first, or [`reserve_again`]).
///
/// # Errors
/// `out_of_stock` with the pointer `/lines/N` and `available`; `location_inactive` when there is no active location;
/// `state_conflict` when the cart holds stock already.
pub fn reserve<'a>(
    tx: &mut Tx,
    now: Instant,
    cart: CartId,
    needs: &[Need],
    sources: impl Into<Sources<'a>>,
    expires_at: Instant,
) -> Result<Vec<Share>> {
    applied(take(tx, now, needs, sources.into(), Taking::Reserve { cart, expires_at }, Vec::new())?, tx, now)
}

/// What [`reserve_seen`] plans on: what can be sold of the needs' variants at each location. One statement, and one more where the live
/// sourcing profile asks for how long goods keep.
///
/// # Errors
/// What the database says.
pub fn look(tx: &mut Tx, now: Instant, needs: &[Need], sources: Sources<'_>) -> Result<Available> {
    look_with(tx, needs, sources.selling(now), sources.asks_for_lots())
}

/// What can be sold of the needs' variants at each location to somebody, whatever a sourcing profile asks for. One statement.
///
/// # Errors
/// What the database says.
pub fn look_for(tx: &mut Tx, needs: &[Need], selling: Selling) -> Result<Available> {
    look_with(tx, needs, selling, false)
}

/// The same, with when the lots end where that is asked for.
pub(super) fn look_with(tx: &mut Tx, needs: &[Need], selling: Selling, with_lots: bool) -> Result<Available> {
    levels(tx, (&tracked_variants(needs), selling, with_lots), &[])
}

/// The same as [`reserve`], planned on what [`look`] has seen before this transaction: the guards tell whether it still
/// holds. Where it does not suffice, the levels are read again.
///
/// # Errors
/// As [`reserve`].
pub fn reserve_seen<'a>(
    tx: &mut Tx,
    now: Instant,
    cart: CartId,
    needs: &[Need],
    (sources, seen): (impl Into<Sources<'a>>, &Available),
    expires_at: Instant,
) -> Result<Vec<Share>> {
    let sources = sources.into();
    let taking = Taking::Reserve { cart, expires_at };
    check_quantities(needs)?;
    let booking = match plan(needs, sources, seen) {
        Ok(planned) => write(tx, now, planned, (seen, sources.selling(now)), taking, &[])?,
        Err(_) => take(tx, now, needs, sources, taking, Vec::new())?,
    };
    applied(booking, tx, now)
}

/// The same for a cart that may hold stock: what it holds is released first, and counts as available to it. One
/// movement of the counters, where [`release`] and [`reserve`] would be two.
///
/// # Errors
/// As [`reserve`].
pub fn reserve_again<'a>(
    tx: &mut Tx,
    now: Instant,
    cart: CartId,
    needs: &[Need],
    sources: impl Into<Sources<'a>>,
    expires_at: Instant,
) -> Result<Vec<Share>> {
    let sources = sources.into();
    let (held, _) = store::end_reservations(tx, cart, "released")?;
    applied(take(tx, now, needs, sources, Taking::Reserve { cart, expires_at }, held)?, tx, now)
}

/// What an order was given, its counters not moved yet: [`Booking::apply`] does that as the last statement of the
/// transaction, so that a level which everybody wants is locked for the shortest time.
#[derive(Debug, Default)]
#[must_use = "the counters move when it is applied"]
pub struct Booking {
    shares: Vec<Share>,
    sourcing: Vec<Sourcing>,
    changes: Vec<LevelChange>,
}

impl Booking {
    /// Which pieces come from where.
    #[must_use]
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// Why they come from there: of the lines of which there is something to tell.
    #[must_use]
    pub fn sourcing(&self) -> &[Sourcing] {
        &self.sourcing
    }

    /// The levels at which something of it is still to come, with how many pieces of each.
    #[must_use]
    pub fn waits_at(&self) -> Vec<(LevelKey, i64)> {
        super::trace::waits_at(&self.shares, &self.sourcing)
    }

    /// Which of its shares wait for that.
    #[must_use]
    pub fn awaited(&self) -> std::collections::BTreeSet<Spot> {
        super::trace::awaited(&self.shares, &self.sourcing)
    }

    /// For how many days its pieces have to keep when they leave, by the strategies that have placed them: by line and delivery.
    #[must_use]
    pub fn shelf_lives(&self) -> std::collections::BTreeMap<(i32, i32), i64> {
        super::trace::shelf_lives(&self.sourcing)
    }

    /// What of it is held where by a sourcing profile's fallback.
    #[must_use]
    pub fn held(&self) -> std::collections::BTreeSet<Spot> {
        super::trace::held_lines(&self.sourcing)
    }

    /// Moves the counters.
    ///
    /// # Errors
    /// What the database says; the whole transaction is run again when the stock has moved since it was looked at.
    pub fn apply(self, tx: &mut Tx, now: Instant) -> Result<()> {
        match move_levels(tx, now, self.changes.into_iter())? {
            true => Ok(()),
            false => Err(overtaken()),
        }
    }
}

/// Gives stock to an order at once, without a reservation before it.
///
/// # Errors
/// As [`reserve`].
pub fn allocate<'a>(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    needs: &[Need],
    sources: impl Into<Sources<'a>>,
    order_ref: &str,
    occurred_at: Instant,
) -> Result<Booking> {
    let occasion = Occasion { actor, reference: Some(order_ref), occurred_at };
    take(tx, now, needs, sources.into(), Taking::Allocate(occasion), Vec::new())
}

/// Takes stock. `freed` are reservations that have just been ended in this transaction; their counters come back here.
fn take(
    tx: &mut Tx,
    now: Instant,
    needs: &[Need],
    sources: Sources<'_>,
    taking: Taking<'_>,
    mut freed: Vec<Share>,
) -> Result<Booking> {
    check_quantities(needs)?;
    let variants = tracked_variants(needs);
    let (selling, with_lots) = (sources.selling(now), sources.asks_for_lots());
    let mut levels = levels(tx, (&variants, selling, with_lots), &freed)?;
    let mut planned = plan(needs, sources, &levels);
    if matches!(planned, Err(NoPlan::Short { .. })) {
        // Nothing is withheld by what has expired. The levels are read again, for another transaction may have
        // expired the same while this one waited for it.
        freed.extend(store::expire_of(tx, now, &variants)?);
        levels = self::levels(tx, (&variants, selling, with_lots), &freed)?;
        planned = plan(needs, sources, &levels);
    }
    let planned = match planned {
        Ok(planned) => planned,
        Err(why) => {
            move_back(tx, now, given_back(&freed))?;
            return Err(refusal(why, needs));
        }
    };
    write(tx, now, planned, (&levels, selling), taking, &freed)
}

/// Writes what was planned on `levels`; the counters are left to the booking, `freed` ones included.
fn write(
    tx: &mut Tx,
    now: Instant,
    Plan { planned, sourcing, .. }: Plan,
    (levels, selling): (&Available, Selling),
    taking: Taking<'_>,
    freed: &[Share],
) -> Result<Booking> {
    let shares: Vec<Share> = planned.iter().map(|planned| planned.share.clone()).collect();
    match taking {
        Taking::Reserve { cart, expires_at } => {
            let written = store::insert_reservations(tx, now, (cart, expires_at), &shares, &sourcing);
            on_duplicate(written, || Error::conflict("the cart holds stock already"))?;
        }
        Taking::Allocate(occasion) => store::append(tx, now, occasion, &allocations(&shares))?,
    }
    let missing = |share: &&Share| share.tracked && !levels.contains_key(&key(share));
    let missing: Vec<LevelKey> = shares.iter().filter(missing).map(key).collect();
    if !missing.is_empty() {
        store::make_levels(tx, now, &missing)?;
    }
    let taken = planned.iter().filter(|planned| planned.share.tracked).map(|planned| taken(planned, taking, selling));
    let changes = taken.chain(given_back(freed)).collect();
    Ok(Booking { shares, sourcing, changes })
}

/// Moves a booking's counters at once: for commands that end with it.
fn applied(booking: Booking, tx: &mut Tx, now: Instant) -> Result<Vec<Share>> {
    let shares = booking.shares.clone();
    booking.apply(tx, now)?;
    Ok(shares)
}

/// The plan was made on levels that have moved since they were read. All of the transaction is run again, so that no lock
/// is held while it looks for another way.
fn overtaken() -> Error {
    Error::overtaken("stock")
}

fn check_quantities(needs: &[Need]) -> Result<()> {
    match needs.iter().find(|need| !(1..=Quantity::MAX).contains(&need.quantity)) {
        None => Ok(()),
        Some(need) => {
            let detail = format!("expected a whole number from 1 to {}", Quantity::MAX);
            Err(Error::problem(Code::QuantityInvalid, detail).at(format!("/lines/{}/quantity", need.place)))
        }
    }
}

fn tracked_variants(needs: &[Need]) -> Vec<VariantId> {
    let mut variants: Vec<_> = needs.iter().filter(|need| need.tracked).map(|need| need.variant).collect();
    variants.sort_unstable();
    variants.dedup();
    variants
}

/// What can be sold of the variants, what has just been freed included.
fn levels(
    tx: &mut Tx,
    (variants, selling, with_lots): (&[VariantId], Selling, bool),
    freed: &[Share],
) -> Result<Available> {
    let mut levels = match variants {
        [] => Available::default(),
        _ => store::available(tx, variants, selling)?,
    };
    if with_lots && !variants.is_empty() {
        // What ends too soon for whoever buys is taken off already.
        let counted = |end: Instant| selling.keeps_until.is_some_and(|until| end < until) || Some(end) <= selling.at;
        let lots = lots::ending(tx, variants)?.into_iter().filter(|(_, end, _)| !counted(*end));
        lots.for_each(|(key, end, pieces)| levels.note_lot(key, end, pieces));
    }
    for share in freed.iter().filter(|share| share.tracked) {
        if let Some(available) = levels.get_mut(&key(share)) {
            *available += share.quantity;
        }
    }
    Ok(levels)
}

pub(super) fn refusal(why: NoPlan, needs: &[Need]) -> Error {
    match why {
        NoPlan::NoLocation => Error::problem(Code::LocationInactive, "no active location ships the order"),
        NoPlan::Incapable { place } => match needs.get(place) {
            Some(need) => {
                let asked = need.requires.iter().map(ToString::to_string).collect::<Vec<_>>();
                not_capable(need, &asked).at(format!("/lines/{}", need.place))
            }
            None => Error::internal("a need is missing among its own"),
        },
        NoPlan::Short { place, available } => {
            let need = needs.get(place);
            let (place, line_no) = need.map_or((place, 0), |need| (need.place, need.line_no));
            let detail = format!("line {line_no} asks for more than the {available} that are available");
            let error = Error::problem(Code::OutOfStock, detail).at(format!("/lines/{place}"));
            let error = error.with("available", available).with("line_no", line_no);
            match need.map(|need| need.delivery).filter(|delivery| *delivery > 0) {
                Some(delivery) => error.with("delivery_number", delivery),
                None => error,
            }
        }
    }
}

/// That nobody who ships it can do what the goods of a line require. `missing` is what.
#[must_use]
pub fn not_capable(need: &Need, missing: &[String]) -> Error {
    let detail = format!("line {} requires what is not to be had together: {}", need.line_no, missing.join(", "));
    let error =
        Error::problem(Code::NotCapable, detail).with("line_no", need.line_no).with("missing", missing.to_vec());
    match need.delivery {
        0 => error,
        delivery => error.with("delivery_number", delivery),
    }
}

const fn key(share: &Share) -> LevelKey {
    (share.variant, share.location)
}

fn taken(planned: &Planned, taking: Taking<'_>, selling: Selling) -> LevelChange {
    let quantity = planned.share.quantity;
    let guard = planned.guarded.then_some(quantity);
    let selling = selling.keeping(planned.keeps_until);
    let change = LevelChange { guard, selling, ..LevelChange::of(key(&planned.share)) };
    match taking {
        Taking::Reserve { .. } => LevelChange { reserved: quantity, ..change },
        Taking::Allocate(_) => LevelChange { allocated: quantity, ..change },
    }
}

fn unreserve(share: &Share) -> LevelChange {
    LevelChange { reserved: -share.quantity, ..LevelChange::of(key(share)) }
}

/// What ended reservations give back to their levels.
fn given_back(ended: &[Share]) -> impl Iterator<Item = LevelChange> {
    ended.iter().filter(|share| share.tracked).map(unreserve)
}

fn allocations(shares: &[Share]) -> Vec<NewMovement> {
    movements(shares, MovementKind::Allocation, |quantity| (0, quantity))
}

/// A movement per tracked share; `deltas` gives what a quantity does to `on_hand` and `allocated`.
fn movements(shares: &[Share], kind: MovementKind, deltas: impl Fn(i64) -> (i64, i64)) -> Vec<NewMovement> {
    let tracked = shares.iter().filter(|share| share.tracked);
    let movement = |share: &Share| {
        let (on_hand, allocated) = deltas(share.quantity);
        NewMovement { key: key(share), kind, on_hand, allocated, reason: None, pieces: None, reference: None }
    };
    tracked.map(movement).collect()
}

/// Moves levels, all or none. False when they were refused.
fn move_levels(tx: &mut Tx, now: Instant, changes: impl Iterator<Item = LevelChange>) -> Result<bool> {
    let changes = sum_changes(changes);
    Ok(changes.is_empty() || store::move_levels(tx, now, &changes)?.len() == changes.len())
}

/// Moves levels that can not refuse, for what is taken from them was put there before.
fn move_back(tx: &mut Tx, now: Instant, changes: impl Iterator<Item = LevelChange>) -> Result<()> {
    if move_levels(tx, now, changes)? { Ok(()) } else { Err(inconsistent()) }
}

fn inconsistent() -> Error {
    Error::internal("a stock level holds less than its reservations and orders say")
}

/// Gives a cart's reservations back. Nothing happens when it has none.
///
/// # Errors
/// What the database says.
pub fn release(tx: &mut Tx, now: Instant, cart: CartId) -> Result<()> {
    let (held, _) = store::end_reservations(tx, cart, "released")?;
    move_back(tx, now, given_back(&held))
}

/// Lets a cart's reservations hold until `expires_at`. False when they have ended: reserve again.
///
/// # Errors
/// What the database says.
pub fn extend(tx: &mut Tx, cart: CartId, expires_at: Instant) -> Result<bool> {
    Ok(store::extend_reservations(tx, cart, expires_at)? > 0)
}

/// Turns a cart's reservations into allocations of an order; `None` when they have ended and must be made again. A due
/// reservation that nobody has expired yet still counts.
///
/// # Errors
/// What the database says.
pub fn consume(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    cart: CartId,
    order_ref: &str,
    occurred_at: Instant,
) -> Result<Option<Booking>> {
    let (shares, sourcing) = store::end_reservations(tx, cart, "consumed")?;
    if shares.is_empty() {
        return Ok(None);
    }
    let occasion = Occasion { actor, reference: Some(order_ref), occurred_at };
    store::append(tx, now, occasion, &allocations(&shares))?;
    let change = |share: &Share| LevelChange { allocated: share.quantity, ..unreserve(share) };
    let changes = shares.iter().filter(|share| share.tracked).map(change).collect();
    Ok(Some(Booking { shares, sourcing, changes }))
}

/// Gives back what orders had allocated and will not ship.
///
/// # Errors
/// What the database says.
pub fn deallocate(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    shares: &[Share],
    order_ref: &str,
    occurred_at: Instant,
) -> Result<()> {
    let occasion = Occasion { actor, reference: Some(order_ref), occurred_at };
    store::append(tx, now, occasion, &movements(shares, MovementKind::Deallocation, |quantity| (0, -quantity)))?;
    let change = |share: &Share| LevelChange { allocated: -share.quantity, ..LevelChange::of(key(share)) };
    move_back(tx, now, shares.iter().filter(|share| share.tracked).map(change))
}

/// What levels are called, as it is told of them. Read before they are locked.
pub(super) fn names(tx: &mut Tx, changes: &[LevelChange]) -> Result<HashMap<LevelKey, (String, String)>> {
    let keys: Vec<LevelKey> = changes.iter().map(LevelChange::key).collect();
    let variants: Vec<VariantId> = keys.iter().map(|(variant, _)| *variant).collect();
    let skus = catalog::skus_of(tx, &variants)?;
    let codes: HashMap<_, _> = store::codes(tx, keys.iter().map(|(_, location)| *location))?.into_iter().collect();
    let name = |key: LevelKey| Some((key, (skus.get(&key.0)?.clone(), codes.get(&key.1)?.clone())));
    Ok(keys.into_iter().filter_map(name).collect())
}

/// Tells of levels that were moved. `fresh` are ids for their events; as many as there are levels suffice.
pub(super) fn tell(
    tx: &mut Tx,
    now: Instant,
    (kind, occasion): (ChangeKind, Occasion<'_>),
    names: &HashMap<LevelKey, (String, String)>,
    (changes, moved): (&[LevelChange], &[Level]),
    fresh: &[EventId],
) -> Result<()> {
    let moved: HashMap<LevelKey, &Level> = moved.iter().map(|level| (level.key(), level)).collect();
    let mut fresh = fresh.iter().copied();
    // In the order of the changes, which is that of their keys: a second run gives each level the same event.
    let changed = changes.iter().filter_map(|change| {
        let (level, (sku, code)) = (*moved.get(&change.key())?, names.get(&change.key())?);
        Some(Changed { event: fresh.next().unwrap_or_default(), sku, code, level, change: change.on_hand })
    });
    let cause = Cause { kind, reference: occasion.reference, occurred_at: occasion.occurred_at };
    told::tell(tx, now, occasion.actor, cause, changed)
}

/// Books out what has left, and tells of it; `packed` says of which lots it is, as far as that is known, `keep` until when it has to keep.
/// `fresh` are ids for events; as many as there are shares suffice.
///
/// # Errors
/// `stock_negative` when less lies there than is said to have left: book the goods in first; `state_conflict` when what is packed of a
/// lot may not be sold.
pub fn ship(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (shares, packed, keep): (&[Share], &[lots::Packed], &lots::Keep),
    order_ref: &str,
    occurred_at: Instant,
    fresh: &[EventId],
) -> Result<()> {
    let occasion = Occasion { actor, reference: Some(order_ref), occurred_at };
    let change = |share: &Share| {
        let quantity = -share.quantity;
        LevelChange { on_hand: quantity, allocated: quantity, ..LevelChange::of(key(share)) }
    };
    let changes = sum_changes(shares.iter().filter(|share| share.tracked).map(change));
    if changes.is_empty() {
        return Ok(());
    }
    store::append(tx, now, occasion, &movements(shares, MovementKind::Shipment, |quantity| (-quantity, -quantity)))?;
    let names = names(tx, &changes)?;
    let mut moved = store::move_levels(tx, now, &changes)?;
    if moved.len() != changes.len() {
        return Err(short_of(tx, shares, &changes)?);
    }
    let leaving = (changes.as_slice(), packed, keep);
    lots::settle_packed(tx, now, (MovementKind::Shipment, occasion), leaving, &mut moved)?;
    tell(tx, now, (ChangeKind::Shipment, occasion), &names, (&changes, &moved), fresh)
}

/// Why goods can not have left.
fn short_of(tx: &mut Tx, shares: &[Share], changes: &[LevelChange]) -> Result<Error> {
    let wanted: Vec<LevelKey> = changes.iter().map(LevelChange::key).collect();
    let levels = store::lock_levels(tx, &wanted)?;
    let short = changes.iter().find_map(|change| {
        let level = levels.iter().find(|level| (level.variant, level.location) == change.key());
        level.filter(|level| level.on_hand + change.on_hand < 0)
    });
    let Some(short) = short else {
        return Ok(Error::internal("a stock level holds less than its orders say"));
    };
    let line_no = shares.iter().find(|share| key(share) == (short.variant, short.location)).map(|share| share.line_no);
    let detail = format!("only {} lie at the location; book the goods in first", short.on_hand);
    let error = Error::problem(Code::StockNegative, detail).with("on_hand", short.on_hand).with("line_no", line_no);
    Ok(error.with("variant_id", short.variant.to_string()).with("location_id", short.location.to_string()))
}

/// Books in what customers have sent back and can be sold again, and tells of it. Goods come back into the lots in which they left by the
/// order that `reference` names: those of one that is blocked, recalled or expired are on hand and can not be sold. `fresh` are ids for
/// events; as many as there are shares suffice.
///
/// # Errors
/// What the database says.
pub fn receive_return(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    shares: &[Share],
    reference: &str,
    occurred_at: Instant,
    fresh: &[EventId],
) -> Result<()> {
    let change = |share: &Share| LevelChange { on_hand: share.quantity, ..LevelChange::of(key(share)) };
    let changes = sum_changes(shares.iter().filter(|share| share.tracked).map(change));
    if changes.is_empty() {
        return Ok(());
    }
    let occasion = Occasion { actor, reference: Some(reference), occurred_at };
    store::append(tx, now, occasion, &movements(shares, MovementKind::Return, |quantity| (quantity, 0)))?;
    // Lots are locked before levels.
    let under_way = lots::under_way(tx, reference)?;
    let wanted: Vec<LevelKey> = changes.iter().map(LevelChange::key).collect();
    store::make_levels(tx, now, &wanted)?;
    let names = names(tx, &changes)?;
    let mut moved = store::move_levels(tx, now, &changes)?;
    if moved.len() != changes.len() {
        return Err(inconsistent());
    }
    lots::arrive(tx, now, (MovementKind::Return, occasion), (&changes, &under_way), &mut moved)?;
    shortage::watch(tx, now, &changes, &moved)?;
    tell(tx, now, (ChangeKind::Return, occasion), &names, (&changes, &moved), fresh)?;
    outlook::arrived(tx, now, &changes)
}

/// Expires the due reservations of up to `carts` carts; how many rows that were.
///
/// # Errors
/// What the database says.
pub fn expire_due(tx: &mut Tx, now: Instant, carts: i64) -> Result<usize> {
    let due = store::expire_oldest(tx, now, carts)?;
    move_back(tx, now, given_back(&due))?;
    Ok(due.len())
}

/// Drops reservations that have ended and were made before an instant, up to `limit` of them: only live ones count.
///
/// # Errors
/// What the database says.
pub fn purge_ended(tx: &mut Tx, before: Instant, limit: i64) -> Result<usize> {
    store::purge_reservations(tx, before, limit)
}

//! Commands on lots.
//!
//! Whoever changes what lies of lots holds the locks of the levels; a lot's own row is locked before them, its places behind.

use std::collections::{BTreeMap, BTreeSet, HashMap};

// What is asked for as it stands in the tables.
pub(in crate::stock) use super::store::ending;
pub(super) use super::store::{Moved, Received, list, movements, received};
use super::{
    model::{Held, Leaving, Lot, LotState, Named, Packed, ends_before, give, not_there, take},
    store::{self, LotChange, NewLot},
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    kernel::{
        Actor, Instant,
        ids::{EventId, LocationId, LotId, VariantId},
    },
    stock::{
        Level, LevelChange, LevelKey, MovementKind,
        model::{NewMovement, Occasion},
        service::{names, tell},
        shortage, store as levels,
        told::ChangeKind,
    },
};

/// That pieces which lie somewhere are of a lot.
#[derive(Debug, Clone)]
pub struct Naming {
    /// Of which variant, where.
    pub key: LevelKey,
    /// The lot's number.
    pub number: String,
    /// Until when it keeps; nothing where that is known already, or never.
    pub expires_at: Option<Instant>,
    /// How many more are of it, or (negative) fewer.
    pub quantity: i64,
    /// The lot's id where there is none of that number yet; made outside the transaction.
    pub fresh: LotId,
    /// The id of its event; made outside the transaction.
    pub event: EventId,
    /// Where it stands in the request, as a JSON pointer.
    pub pointer: String,
}

/// Says which pieces are of which lot: all or none. It changes nothing that lies there; what is of no lot is of one from now on.
/// The lots, in the order of variants and numbers.
///
/// # Errors
/// `invalid_value` where a lot is known to keep until another instant; `stock_negative` where less lies there than is named, or less of
/// the lot than is taken from it; each with the pointer.
pub fn name(tx: &mut Tx, now: Instant, actor: &Actor, namings: &[Naming], reference: Option<&str>) -> Result<Vec<Lot>> {
    let lots = make_and_lock(tx, now, namings)?;
    let known: HashMap<(VariantId, &str), &Lot> =
        lots.iter().map(|lot| ((lot.variant_id, lot.number.as_str()), lot)).collect();
    let mut changes: BTreeMap<(LotId, LevelKey), (i64, &Naming)> = BTreeMap::new();
    for one in namings {
        let lot = known.get(&(one.key.0, one.number.as_str())).ok_or_else(|| Error::internal("a lot went missing"))?;
        if one.expires_at.is_some() && one.expires_at != lot.expires_at {
            let detail = "the lot is known to keep until another instant";
            return Err(Error::invalid(format!("{}/expires_at", one.pointer), detail));
        }
        changes.entry((lot.id, one.key)).or_insert((0, one)).0 += one.quantity;
    }
    let mut keys: Vec<LevelKey> = namings.iter().map(|one| one.key).collect();
    keys.sort_unstable();
    keys.dedup();
    let locked = levels::lock_levels(tx, &keys)?;
    check(&locked, &store::held(tx, &keys)?, &changes)?;
    let moved = changes.into_iter().filter(|(_, (quantity, _))| *quantity != 0);
    let moved = moved.map(|((lot, key), (quantity, _))| LotChange { lot, key, quantity }).collect::<Vec<_>>();
    let occasion = Occasion { actor, reference, occurred_at: now };
    store::shift(tx, now, ("named", occasion), &moved)?;
    levels::append(tx, now, occasion, &told(&moved, &lots))?;
    announce(tx, now, occasion, &keys, &namings.iter().map(|one| one.event).collect::<Vec<_>>())?;
    Ok(lots)
}

/// What is told in the ledger of levels of pieces that were said to be of lots.
fn told(moved: &[LotChange], lots: &[Lot]) -> Vec<NewMovement> {
    let movement = |one: &LotChange| {
        let lot = lots.iter().find(|lot| lot.id == one.lot).map_or("", |lot| lot.number.as_str());
        let reason = Some(format!("{:+} of lot {lot}", one.quantity));
        NewMovement {
            key: one.key,
            kind: MovementKind::LotChange,
            on_hand: 0,
            allocated: 0,
            reason,
            pieces: Some(one.quantity),
            reference: None,
        }
    };
    moved.iter().map(movement).collect()
}

/// Makes lots that are not there yet; all of them, locked.
fn make_and_lock(tx: &mut Tx, now: Instant, namings: &[Naming]) -> Result<Vec<Lot>> {
    let numbers: BTreeMap<(VariantId, String), &Naming> =
        namings.iter().map(|one| ((one.key.0, one.number.clone()), one)).collect();
    let fresh = numbers.iter().map(|((variant, number), one)| NewLot {
        id: one.fresh,
        variant: *variant,
        number: number.clone(),
        expires_at: one.expires_at,
        state: if one.expires_at.is_some_and(|at| at <= now) { LotState::Expired } else { LotState::Available },
    });
    store::make(tx, now, &fresh.collect::<Vec<_>>())?;
    store::lock_numbers(tx, &numbers.into_keys().collect::<Vec<_>>())
}

/// Locks the lots of goods that are about to be booked in, before their levels are, and named behind that. What is known of a lot
/// counts, whatever a delivery says of its end: somebody has to look at it, and the goods are here. The lots.
///
/// # Errors
/// What the database says.
pub fn lock(tx: &mut Tx, now: Instant, namings: &mut [Naming]) -> Result<Vec<Lot>> {
    if namings.is_empty() {
        return Ok(Vec::new());
    }
    let lots = make_and_lock(tx, now, namings)?;
    for one in namings.iter_mut() {
        let known = lots.iter().find(|lot| lot.variant_id == one.key.0 && lot.number == one.number);
        one.expires_at = known.and_then(|lot| lot.expires_at);
    }
    Ok(lots)
}

/// The lots that numbers of variants stand for: one statement. Numbers that are none are left out.
///
/// # Errors
/// What the database says.
pub fn known(tx: &mut Tx, numbers: &BTreeSet<(VariantId, &str)>) -> Result<Vec<Lot>> {
    match numbers.is_empty() {
        true => Ok(Vec::new()),
        false => store::by_numbers(tx, &numbers.iter().copied().collect::<Vec<_>>()),
    }
}

/// Those of lots that lie, or have lain, where the actor may look: one statement, where the actor is limited.
///
/// # Errors
/// What the database says.
pub fn seen(tx: &mut Tx, actor: &Actor, mut lots: Vec<Lot>) -> Result<Vec<Lot>> {
    if lots.is_empty() || actor.locations().is_none() {
        return Ok(lots);
    }
    let ids: Vec<LotId> = lots.iter().map(|lot| lot.id).collect();
    let places = store::places_of(tx, &ids)?;
    lots.retain(|lot| places.iter().any(|(id, place)| *id == lot.id && actor.sees_location(*place)));
    Ok(lots)
}

/// What lies of lots at levels, and where: those that may be sold first, in the order in which they leave. One statement.
///
/// # Errors
/// What the database says.
pub fn lying(tx: &mut Tx, keys: &[LevelKey]) -> Result<Vec<(Lot, LocationId, i64)>> {
    if keys.is_empty() { Ok(Vec::new()) } else { store::lying(tx, keys) }
}

/// That no lot falls below nothing, and no level's lots hold more than lies there.
fn check(
    locked: &[Level],
    held: &[(LevelKey, Held)],
    changes: &BTreeMap<(LotId, LevelKey), (i64, &Naming)>,
) -> Result<()> {
    for ((lot, key), (quantity, naming)) in changes {
        let own: i64 = held.iter().filter(|(at, one)| at == key && one.lot == *lot).map(|(_, one)| one.quantity).sum();
        let all: i64 = held.iter().filter(|(at, _)| at == key).map(|(_, one)| one.quantity).sum();
        let more: i64 = changes.iter().filter(|((_, at), _)| at == key).map(|(_, (quantity, _))| quantity).sum();
        let on_hand = locked.iter().find(|level| level.key() == *key).map_or(0, |level| level.on_hand);
        let detail = match () {
            () if own + quantity < 0 => format!("only {own} of the lot lie there"),
            () if more > 0 && all + more > on_hand => format!("{on_hand} lie there, {all} of them in lots"),
            () => continue,
        };
        let error = Error::problem(Code::StockNegative, detail).at(format!("{}/quantity", naming.pointer));
        return Err(error.with("on_hand", on_hand));
    }
    Ok(())
}

/// Counts anew what may not be sold, and tells of the levels of which that is another number.
pub(super) fn announce(
    tx: &mut Tx,
    now: Instant,
    occasion: Occasion<'_>,
    keys: &[LevelKey],
    fresh: &[EventId],
) -> Result<()> {
    let changes: Vec<LevelChange> = keys.iter().map(|key| LevelChange::of(*key)).collect();
    let names = names(tx, &changes)?;
    let changed = store::recount(tx, now, keys)?;
    shortage::watch_withheld(tx, now, &changed)?;
    let changes: Vec<LevelChange> = changed.iter().map(|level| LevelChange::of(level.key())).collect();
    match changed.is_empty() {
        true => Ok(()),
        false => tell(tx, now, (ChangeKind::Withheld, occasion), &names, (&changes, &changed), fresh),
    }
}

/// A lot that lies, or has lain, where the actor may look.
///
/// # Errors
/// Not found.
pub(super) fn visible(tx: &mut Tx, actor: &Actor, id: LotId) -> Result<Lot> {
    let lot = store::read(tx, id)?.ok_or_else(|| Error::not_found("lot"))?;
    let places = store::levels_of(tx, &[id])?;
    match actor.locations().is_none() || places.iter().any(|(_, place)| actor.sees_location(*place)) {
        true => Ok(lot),
        false => Err(Error::not_found("lot")),
    }
}

/// Blocks, recalls or frees a lot: what lies of it anywhere can be sold no more, or again. `expected` is the version that the caller has
/// seen; `fresh` are ids for events: where there are fewer than places, the rest are made up.
///
/// # Errors
/// `not_found`; `version_stale`; `state_conflict` where its state does not lead there.
pub fn change_state(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (id, expected): (LotId, Option<i64>),
    (state, reason): (LotState, Option<String>),
    fresh: &[EventId],
) -> Result<Lot> {
    let lot = store::read(tx, id)?.ok_or_else(|| Error::not_found("lot"))?;
    if expected.is_some_and(|seen| seen != lot.version) {
        return Err(Error::stale("lot", lot.version));
    }
    let changed = lot.put(state, reason, now)?;
    if !store::put(tx, now, &changed)? {
        return Err(Error::overtaken("the lot"));
    }
    affect(tx, now, actor, &[id], fresh)?;
    Ok(changed)
}

/// The levels at which lots lie, once their states have changed. Where one is named meanwhile, that waits for the lot's row.
fn affect(tx: &mut Tx, now: Instant, actor: &Actor, lots: &[LotId], fresh: &[EventId]) -> Result<()> {
    let keys = store::levels_of(tx, lots)?;
    if keys.is_empty() {
        return Ok(());
    }
    levels::lock_levels(tx, &keys)?;
    announce(tx, now, Occasion { actor, reference: None, occurred_at: now }, &keys, fresh)
}

/// Puts lots into `expired` that have kept as long as they keep, up to `limit`; how many.
///
/// # Errors
/// What the database says.
pub fn expire_ended(tx: &mut Tx, now: Instant, actor: &Actor, limit: i64, fresh: &[EventId]) -> Result<usize> {
    let ended = store::expire(tx, now, limit)?;
    affect(tx, now, actor, &ended, fresh)?;
    Ok(ended.len())
}

/// Takes goods that have left levels out of their lots, and counts anew what may not be sold there; `moved` are the levels as they
/// are afterwards. One statement where there are no lots.
///
/// # Errors
/// `stock_negative` where goods would be sold that may not.
pub fn settle(
    tx: &mut Tx,
    now: Instant,
    by: (MovementKind, Occasion<'_>),
    changes: &[LevelChange],
    moved: &mut [Level],
) -> Result<()> {
    settle_packed(tx, now, by, (changes, &[], &Keep::new()), moved)
}

/// Until when goods have to keep that leave locations; where nothing is said, until they leave.
pub type Keep = BTreeMap<LocationId, Instant>;

/// The same; what was packed of lots leaves of these, and no other, and what is sold of a location keeps until an instant at least.
///
/// # Errors
/// `stock_negative` where goods would be sold that may not, or do not keep so long; `state_conflict` where such are packed.
pub fn settle_packed(
    tx: &mut Tx,
    now: Instant,
    (kind, occasion): (MovementKind, Occasion<'_>),
    (changes, packed, keep): (&[LevelChange], &[Packed], &Keep),
    moved: &mut [Level],
) -> Result<()> {
    let left: Vec<&LevelChange> = changes.iter().filter(|change| change.on_hand < 0).collect();
    if left.is_empty() {
        return Ok(());
    }
    let keys: Vec<LevelKey> = left.iter().map(|change| change.key()).collect();
    let held = store::held(tx, &keys)?;
    let said = packed.iter().any(|one| one.said_at.is_some());
    if held.is_empty() && !said {
        return Ok(());
    }
    let named = named(tx, packed, keep)?;
    let leaving = |(_, location): LevelKey| match kind {
        // At the other end they can be sold. What has ended by then stays, whether anybody has noted that or not.
        MovementKind::Shipment | MovementKind::TransferOut => {
            Leaving::Sold { keeps_until: keep.get(&location).copied().or(Some(occasion.occurred_at)) }
        }
        _ => Leaving::Otherwise,
    };
    let mut shifts = Vec::new();
    for change in left {
        let own: Vec<Held> = held.iter().filter(|(key, _)| *key == change.key()).map(|(_, held)| *held).collect();
        let named: Vec<Named> =
            named.iter().filter(|(key, _)| *key == change.key()).map(|(_, one)| one.clone()).collect();
        let level = moved.iter().find(|level| level.key() == change.key());
        let level = level.ok_or_else(|| Error::internal("a level was not moved"))?;
        if let Some((at, most)) = not_there(&own, named.iter()) {
            let detail = format!("only {most} of the lot lie at the location");
            let error = Error::problem(Code::StockNegative, detail).at(format!("{at}/quantity"));
            return Err(error.with("available", most));
        }
        let pieces = -change.on_hand;
        let taken =
            take(&own, (level.on_hand, pieces), leaving(level.key()), &named).map_err(|most| withheld(level, most))?;
        shifts.extend(taken.into_iter().map(|(lot, pieces)| LotChange { lot, key: level.key(), quantity: -pieces }));
    }
    apply(tx, now, (kind, occasion), (&keys, &shifts), moved)
}

/// The lots that packages name, where there are such.
fn named(tx: &mut Tx, packed: &[Packed], keep: &Keep) -> Result<Vec<(LevelKey, Named)>> {
    let numbers = packed.iter().flat_map(|one| one.numbers.iter().map(|number| (one.key.0, number.as_str())));
    let numbers: BTreeSet<(VariantId, &str)> = numbers.collect();
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let lots = store::by_numbers(tx, &numbers.into_iter().collect::<Vec<_>>())?;
    let mut named = Vec::with_capacity(packed.len());
    for one in packed {
        let own = lots.iter().filter(|lot| lot.variant_id == one.key.0 && one.numbers.contains(&lot.number));
        let own: Vec<&Lot> = own.collect();
        if let Some(at) = one.said_at.as_ref().filter(|_| own.is_empty()) {
            return Err(Error::not_found("lot of this variant").at(format!("{at}/lot")));
        }
        if let Some(bad) = own.iter().find(|lot| !one.left && lot.state != LotState::Available) {
            let why = format!("lot `{}` is {}", bad.number, bad.state);
            return Err(unfit(one, bad, &why));
        }
        let keeps_until = keep.get(&one.key.1).copied();
        if let Some(near) = own.iter().find(|lot| !one.left && ends_before(lot.expires_at, keeps_until)) {
            let why = format!("lot `{}` does not keep as long as the order asks for", near.number);
            return Err(unfit(one, near, &why));
        }
        let (lots, said_at) = (own.iter().map(|lot| lot.id).collect(), one.said_at.clone());
        named.push((one.key, Named { lots, quantity: one.quantity, said_at, left: one.left }));
    }
    Ok(named)
}

/// That a lot which is named must not leave, with what to do: where it was said, or where it is packed.
fn unfit(packed: &Packed, lot: &Lot, why: &str) -> Error {
    let detail = match packed.said_at {
        Some(_) => format!("{why}: name another"),
        None => format!("{why}, and is packed or picked: unpack it, or put it back on its shelf"),
    };
    let error = Error::problem(Code::StateConflict, detail).with("lot_id", lot.id.to_string());
    match &packed.said_at {
        Some(at) => error.at(format!("{at}/lot")),
        None => error,
    }
}

/// Moves lots at levels that are locked, and counts anew what may not be sold there.
fn apply(
    tx: &mut Tx,
    now: Instant,
    (kind, occasion): (MovementKind, Occasion<'_>),
    (keys, shifts): (&[LevelKey], &[LotChange]),
    moved: &mut [Level],
) -> Result<()> {
    if shifts.is_empty() {
        return Ok(());
    }
    store::shift(tx, now, (kind.as_str(), occasion), shifts)?;
    for level in store::recount(tx, now, keys)? {
        if let Some(place) = moved.iter_mut().find(|one| one.key() == level.key()) {
            *place = level;
        }
    }
    Ok(())
}

/// What of lots has left by a document and neither come back nor arrived.
#[derive(Debug, Default)]
pub struct UnderWay {
    lots: Vec<Lot>,
    moved: Vec<(LotId, LocationId, i64)>,
}

/// The lots that goods are of which come back by a document, or arrive by it, locked: so that one that is recalled meanwhile sees where
/// they lie. To be asked before levels are locked; one statement where there are none.
///
/// # Errors
/// What the database says.
pub fn under_way(tx: &mut Tx, reference: &str) -> Result<UnderWay> {
    let lots = store::lock_moved(tx, reference)?;
    let moved = if lots.is_empty() { Vec::new() } else { store::moved(tx, reference)? };
    Ok(UnderWay { lots, moved })
}

impl UnderWay {
    /// Of a variant: what left a place, or any.
    fn of(&self, (variant, location): LevelKey, kind: MovementKind) -> Vec<Held> {
        let own = self.lots.iter().filter(|lot| lot.variant_id == variant).map(|lot| {
            let here = |place: LocationId| kind != MovementKind::Correction || place == location;
            let moved = self.moved.iter().filter(|(id, place, _)| *id == lot.id && here(*place));
            let quantity = -moved.map(|(.., pieces)| pieces).sum::<i64>();
            Held { lot: lot.id, state: lot.state, expires_at: lot.expires_at, quantity }
        });
        own.collect()
    }
}

/// Puts goods that have come to levels into the lots of which they left.
///
/// # Errors
/// What the database says.
pub fn arrive(
    tx: &mut Tx,
    now: Instant,
    (kind, occasion): (MovementKind, Occasion<'_>),
    (changes, under_way): (&[LevelChange], &UnderWay),
    moved: &mut [Level],
) -> Result<()> {
    let come = changes.iter().filter(|change| change.on_hand > 0);
    let shifts = come.flat_map(|change| {
        let given = give(&under_way.of(change.key(), kind), change.on_hand);
        given.into_iter().map(|(lot, quantity)| LotChange { lot, key: change.key(), quantity })
    });
    let shifts: Vec<LotChange> = shifts.collect();
    let keys: Vec<LevelKey> = changes.iter().map(LevelChange::key).collect();
    apply(tx, now, (kind, occasion), (&keys, &shifts), moved)
}

fn withheld(level: &Level, most: i64) -> Error {
    let detail = format!(
        "only {most} may leave: the rest is of lots that are blocked, recalled or expired, or do not keep long enough"
    );
    let error = Error::problem(Code::StockNegative, detail).with("available", most);
    error.with("variant_id", level.variant.to_string()).with("location_id", level.location.to_string())
}

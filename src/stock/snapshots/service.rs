//! Taking a snapshot.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    model::{Basis, Happened, Outcome, since, target},
    store::{self, Moved, Said},
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    events::{self, Known},
    kernel::{Actor, Instant, ids::EventId},
    stock::{
        Level, LevelChange, LevelKey, Locations, MovementKind, adjust, lots,
        model::{NewMovement, Occasion},
        outlook,
        service::{names, tell},
        shortage, store as levels,
    },
};

/// What another system says of levels.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Which system.
    pub source: String,
    /// What the quantities are.
    pub basis: Basis,
    /// As of when.
    pub as_of: Instant,
    /// Up to which position of the log it knew our orders.
    pub orders_through: Option<i64>,
    /// The levels.
    pub rows: Vec<Row>,
}

/// One level of a snapshot.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which variant.
    pub sku: String,
    /// Where: a location's code or id.
    pub location: String,
    /// How many.
    pub quantity: i64,
    /// The id of its event; made outside the transaction.
    pub event: EventId,
}

/// What became of a snapshot: row by row, in the order of the request.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The rows.
    pub rows: Vec<TakenRow>,
}

/// What became of a row.
#[derive(Debug, Clone)]
pub struct TakenRow {
    /// What.
    pub outcome: Outcome,
    /// By how much what lies there has changed.
    pub change: i64,
    /// What came to it since, and the sender could not know: goods that came without what orders set aside.
    pub since: i64,
    /// The level as it is now; none where there is no such SKU.
    pub level: Option<Level>,
}

/// A snapshot may be as old as this.
const OLDEST_SECONDS: i64 = 31 * 86_400;

/// Positions follow commits and times the beginning of commands: for so long one may have been overtaken by others.
const OVERTAKING_SECONDS: i64 = 900;

/// Takes a snapshot: row by row, with a number of statements that does not depend on theirs. It moves the levels, so it is the last
/// a command does.
///
/// # Errors
/// `history_in_future`, `invalid_value`, `cursor_expired` or `not_found` with the pointer to what is wrong. What is wrong with a row
/// alone is that row's outcome.
pub fn take(tx: &mut Tx, now: Instant, actor: &Actor, snapshot: &Snapshot, locations: &Locations) -> Result<Taken> {
    check(tx, now, snapshot)?;
    let resolved = resolve(tx, actor, snapshot, locations)?;
    let keys: Vec<LevelKey> = resolved.keys().copied().collect();
    levels::make_levels(tx, now, &keys)?;
    // The rows stay locked from here on: whatever has moved one of them is in the ledger, and whatever will waits.
    let locked = levels::lock_levels(tx, &keys)?;
    let newest = store::newest(tx, &keys)?;
    let happened = happened(tx, snapshot, &keys)?;
    let decided: BTreeMap<LevelKey, TakenRow> = locked
        .iter()
        .filter_map(|level| {
            let (_, row) = resolved.get(&level.key())?;
            let happened = happened.get(&level.key()).map(Vec::as_slice).unwrap_or_default();
            Some((level.key(), decide(snapshot, row, level, newest.get(&level.key()).copied(), happened)))
        })
        .collect();
    let mut decided = decided;
    book(tx, now, actor, snapshot, &resolved, &mut decided)?;
    let places: HashMap<usize, TakenRow> =
        decided.into_iter().filter_map(|(key, row)| Some((resolved.get(&key)?.0, row))).collect();
    let unknown = || TakenRow { outcome: Outcome::SkuUnknown, change: 0, since: 0, level: None };
    let rows = (0..snapshot.rows.len()).map(|place| places.get(&place).cloned().unwrap_or_else(unknown));
    Ok(Taken { rows: rows.collect() })
}

fn check(tx: &mut Tx, now: Instant, snapshot: &Snapshot) -> Result<()> {
    if snapshot.as_of > now {
        return Err(Error::problem(Code::HistoryInFuture, "as_of lies in the future").at("/as_of"));
    }
    if now.seconds_since(snapshot.as_of) > OLDEST_SECONDS {
        return Err(Error::invalid("/as_of", "the snapshot is older than 31 days"));
    }
    let Some(position) = snapshot.orders_through else {
        return match snapshot.basis {
            Basis::Physical => Ok(()),
            Basis::Available => {
                let detail =
                    "what can be sold depends on the orders that are known: say up to which position of the feed";
                Err(Error::problem(Code::MissingField, detail).at("/orders_through"))
            }
        };
    };
    let log = events::state(tx)?;
    if position < log.dropped {
        let detail = format!("the log is kept from position {} on", log.dropped);
        return Err(Error::problem(Code::CursorExpired, detail).at("/orders_through"));
    }
    match position <= log.last {
        true => Ok(()),
        false => Err(Error::invalid("/orders_through", format!("the log ends at {}", log.last))),
    }
}

/// The rows by level, each with its place; those of unknown SKUs are left out.
fn resolve<'a>(
    tx: &mut Tx,
    actor: &Actor,
    snapshot: &'a Snapshot,
    locations: &Locations,
) -> Result<BTreeMap<LevelKey, (usize, &'a Row)>> {
    let skus = snapshot.rows.iter().map(|row| row.sku.as_str());
    let variants = adjust::stocked(tx, skus, |place| format!("/rows/{place}/sku"))?;
    let mut resolved = BTreeMap::new();
    for (place, row) in snapshot.rows.iter().enumerate() {
        let pointer = format!("/rows/{place}");
        let location = adjust::place(actor, locations, &row.location, &pointer)?;
        let Some(variant) = variants.get(&row.sku) else { continue };
        if resolved.insert((*variant, location.id), (place, row)).is_some() {
            return Err(Error::invalid(pointer, "the level is in the snapshot twice"));
        }
    }
    Ok(resolved)
}

/// What the levels went through that the sender may not have known.
fn happened(tx: &mut Tx, snapshot: &Snapshot, keys: &[LevelKey]) -> Result<HashMap<LevelKey, Vec<Happened>>> {
    let beyond = match snapshot.orders_through {
        Some(position) => events::recorded_beyond(tx, position)?,
        None => None,
    };
    let since = beyond.map_or(snapshot.as_of, |at| at.min(snapshot.as_of)).plus_seconds(-OVERTAKING_SECONDS);
    let moved = store::moved_since(tx, since, keys)?;
    let moments: HashSet<(&str, Instant)> = moved.iter().filter_map(moment).collect();
    let known = match snapshot.orders_through {
        Some(position) => events::known_at(tx, position, moments.into_iter())?,
        None => HashMap::new(),
    };
    let mut happened: HashMap<LevelKey, Vec<Happened>> = HashMap::new();
    for one in &moved {
        let Moved { key, kind, on_hand, allocated, occurred_at, .. } = *one;
        // Two commands of an order at the very same instant can not be told apart: then what it took counts as not known, and
        // what it gave back as known, so that nothing is sold twice.
        let found = moment(one).and_then(|(order, at)| known.get(&(order.to_owned(), at)));
        let known = found.map(|known| match known {
            Known::All => true,
            Known::None => false,
            Known::Some => kind == MovementKind::Deallocation,
        });
        happened.entry(key).or_default().push(Happened { kind, on_hand, allocated, occurred_at, known });
    }
    Ok(happened)
}

/// By what the log knows an order's movement: the order's stream, and when it was recorded.
fn moment(moved: &Moved) -> Option<(&str, Instant)> {
    let of_orders = matches!(moved.kind, MovementKind::Allocation | MovementKind::Deallocation);
    moved.reference.as_deref().filter(|_| of_orders).map(|order| (order, moved.recorded_at))
}

fn decide(snapshot: &Snapshot, row: &Row, level: &Level, newest: Option<Instant>, happened: &[Happened]) -> TakenRow {
    let since = since(snapshot.as_of, happened);
    let target = target(snapshot.basis, row.quantity, since, level);
    let outcome = match () {
        () if newest.is_some_and(|newest| newest >= snapshot.as_of) => Outcome::Superseded,
        () if since.counted => Outcome::CountedSince,
        () if target < 0 => Outcome::Negative,
        () if target == level.on_hand => Outcome::Unchanged,
        () => Outcome::Changed,
    };
    let change = if outcome == Outcome::Changed { target - level.on_hand } else { 0 };
    let since = match snapshot.basis {
        Basis::Physical => since.on_hand,
        Basis::Available => since.on_hand - since.allocated,
    };
    TakenRow { outcome, change, since, level: Some(*level) }
}

/// Notes what was taken, and moves the levels.
fn book(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    snapshot: &Snapshot,
    resolved: &BTreeMap<LevelKey, (usize, &Row)>,
    decided: &mut BTreeMap<LevelKey, TakenRow>,
) -> Result<()> {
    let is_taken = |row: &TakenRow| matches!(row.outcome, Outcome::Changed | Outcome::Unchanged);
    let taken = decided.iter().filter(|(_, row)| is_taken(row));
    let taken: Vec<(LevelKey, i64)> =
        taken.filter_map(|(key, _)| Some((*key, resolved.get(key)?.1.quantity))).collect();
    let Snapshot { ref source, basis, as_of, orders_through, .. } = *snapshot;
    if store::keep(tx, now, Said { source, basis, as_of, orders_through }, &taken)? != taken.len() {
        return Err(Error::internal("locked levels had a newer snapshot"));
    }
    let changed = decided.iter().filter(|(_, row)| row.change != 0);
    let changes: Vec<LevelChange> =
        changed.map(|(key, row)| LevelChange { on_hand: row.change, ..LevelChange::of(*key) }).collect();
    if changes.is_empty() {
        return Ok(());
    }
    let occasion = Occasion { actor, reference: Some(source), occurred_at: as_of };
    let movement = |change: &LevelChange| NewMovement {
        key: change.key(),
        kind: MovementKind::Snapshot,
        on_hand: change.on_hand,
        allocated: 0,
        reason: None,
        pieces: None,
        reference: None,
    };
    levels::append(tx, now, occasion, &changes.iter().map(movement).collect::<Vec<_>>())?;
    let names = names(tx, &changes)?;
    let mut moved = levels::move_levels(tx, now, &changes)?;
    if moved.len() != changes.len() {
        return Err(Error::internal("locked levels refused a snapshot"));
    }
    lots::settle(tx, now, (MovementKind::Snapshot, occasion), &changes, &mut moved)?;
    let said: Vec<LevelKey> = changes.iter().map(LevelChange::key).collect();
    shortage::watch_said(tx, now, (&changes, &said), &moved)?;
    for level in &moved {
        if let Some(row) = decided.get_mut(&level.key()) {
            row.level = Some(*level);
        }
    }
    let fresh = changes.iter().filter_map(|change| Some(resolved.get(&change.key())?.1.event));
    let fresh: Vec<EventId> = fresh.collect();
    tell(tx, now, (MovementKind::Snapshot.into(), occasion), &names, (&changes, &moved), &fresh)?;
    outlook::arrived(tx, now, &changes)
}

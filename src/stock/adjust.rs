//! Counting, receiving, writing off: changes of what lies on hand, and of the safety stock.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{
    lots,
    model::{
        Level, LevelChange, LevelKey, Location, Locations, MovementKind, NewMovement, Occasion, level_name,
        level_stream, sum_changes,
    },
    outlook, places, shortage, store,
    told::{self, Cause, ChangeKind, Changed},
    transfers, watches,
};
use crate::{
    catalog,
    db::Tx,
    error::{Code, Error, Result},
    events::{self, EventSchema, NewEvent, Payload},
    kernel::{
        Actor, Instant, Quantity,
        ids::{EventId, LocationId, LotId, VariantId},
    },
};

/// What happens to a level's `on_hand`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// So many more, or fewer.
    By(i64),
    /// So many, whatever there were.
    To(i64),
}

/// One line of an adjustment.
#[derive(Debug, Clone)]
pub struct Adjustment {
    /// Which variant.
    pub sku: String,
    /// Where: a location's code or id.
    pub location: String,
    /// What happens.
    pub change: Change,
    /// What must be on hand before it.
    pub expected_on_hand: Option<i64>,
    /// Why.
    pub reason: Option<String>,
    /// The lot that the pieces are of which come or go; none where it is not said.
    pub lot: Option<AdjustedLot>,
    /// Whether it is asked of which lot goods are that come and are tracked.
    pub asks: bool,
    /// Whether another system says how many lie there, which may have heard of what has left before we have.
    pub reported: bool,
    /// Where the line stands in the request, as a JSON pointer.
    pub pointer: String,
    /// The id of its event; made outside the transaction.
    pub event: EventId,
}

/// The lot of an adjustment.
#[derive(Debug, Clone)]
pub struct AdjustedLot {
    /// Its number; one that is not known yet is made.
    pub number: String,
    /// Until when it keeps; nothing where that is known already, or it keeps for ever.
    pub expires_at: Option<Instant>,
    /// Its id where there is none of that number yet, and that of its event; made outside the transaction.
    pub fresh: (LotId, EventId),
}

/// A line with what its words mean.
struct Resolved<'a> {
    line: &'a Adjustment,
    key: LevelKey,
    location: &'a Location,
}

/// What has become of an adjustment.
#[derive(Debug, Clone)]
pub struct Adjusted {
    /// The levels of the lines as they are afterwards, line by line.
    pub levels: Vec<Level>,
    /// How many lines changed something.
    pub changed: usize,
    /// The levels of which fewer lie there than before, with how many fewer, and where that stands in the request.
    pub(super) lowered: Vec<(Level, i64, String)>,
}

/// Adjusts levels: all lines or none, in the order given, with a number of statements that does not depend on theirs.
/// A line that changes nothing leaves no trace.
///
/// # Errors
/// `sku_unknown`; `bundle_without_stock`; `not_found` for a location that is not there or not the actor's; `scope_missing` for
/// those who are limited to channels alone; `compare_failed` with `on_hand`; `stock_negative`; `lot_required`; each with the line's pointer.
pub fn adjust(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    lines: &[Adjustment],
    locations: &Locations,
    occurred_at: Instant,
) -> Result<Adjusted> {
    let lines = resolve(tx, actor, lines, locations)?;
    let asked = lines.iter().filter(|line| line.line.asks && line.line.lot.is_none()).map(|line| line.key.0);
    let tracked = catalog::tracking_of(tx, asked)?;
    // Lots are locked before levels.
    let mut named: Vec<lots::Naming> = lines.iter().filter_map(Resolved::naming).collect();
    lots::lock(tx, now, &mut named)?;
    let mut keys: Vec<LevelKey> = lines.iter().map(|line| line.key).collect();
    keys.sort_unstable();
    keys.dedup();
    store::make_levels(tx, now, &keys)?;
    // The rows stay locked from here on: what is compared and counted is what is changed.
    let levels = store::lock_levels(tx, &keys)?;
    let mut on_hand: HashMap<LevelKey, i64> =
        levels.iter().map(|level| ((level.variant, level.location), level.on_hand)).collect();
    let mut steps = Vec::with_capacity(lines.len());
    for line in &lines {
        let current = on_hand.get_mut(&line.key).ok_or_else(|| Error::internal("a level went missing"))?;
        let change = step(line.line, *current)?;
        if change > 0 && tracked.get(&line.key.0).is_some_and(|policy| policy.asks_for_lots()) && line.line.asks {
            let detail = format!("of which lot are the {change} pieces of `{}`?", line.line.sku);
            return Err(Error::problem(Code::LotRequired, detail).at(format!("{}/lot", line.line.pointer)));
        }
        *current += change;
        steps.push((line, change, *current));
    }
    steps.retain(|(_, change, _)| *change != 0);
    // What goes is taken out of its lot before it goes.
    let of_lots = |sign: i64| -> Vec<lots::Naming> {
        let with = steps.iter().filter(|(_, change, _)| change.signum() == sign);
        let with = with.filter_map(|(line, change, _)| Some((*change, line.naming()?)));
        with.map(|(quantity, naming)| lots::Naming { quantity, ..known_end(naming, &named) }).collect()
    };
    let (going, coming) = (of_lots(-1), of_lots(1));
    name_lots(tx, now, actor, &going)?;
    let occasion = Occasion { actor, reference: None, occurred_at };
    let movements = steps.iter().map(|(line, change, _)| NewMovement {
        key: line.key,
        kind: MovementKind::Adjustment,
        on_hand: *change,
        allocated: 0,
        reason: line.line.reason.clone(),
        pieces: None,
        reference: None,
    });
    store::append(tx, now, occasion, &movements.collect::<Vec<_>>())?;
    let changes = steps.iter().map(|(line, change, _)| LevelChange { on_hand: *change, ..LevelChange::of(line.key) });
    let changes = sum_changes(changes);
    let mut after: HashMap<LevelKey, Level> =
        levels.into_iter().map(|level| ((level.variant, level.location), level)).collect();
    if !changes.is_empty() {
        let mut moved = store::move_levels(tx, now, &changes)?;
        if moved.len() != changes.len() {
            return Err(Error::internal("locked levels refused an adjustment"));
        }
        lots::settle(tx, now, (MovementKind::Adjustment, occasion), &changes, &mut moved)?;
        let said = lines.iter().filter(|line| line.line.reported).map(|line| line.key);
        shortage::watch_said(tx, now, (&changes, &said.collect::<Vec<_>>()), &moved)?;
        after.extend(moved.into_iter().map(|level| ((level.variant, level.location), level)));
    }
    let told = steps.iter().filter_map(|(line, change, running)| {
        after.get(&line.key).map(|level| event(line, *change, *running, level, occurred_at))
    });
    events::append(tx, actor, now, told.collect::<Result<_>>()?)?;
    if !coming.is_empty() {
        name_lots(tx, now, actor, &coming)?;
        // What is of a lot that may not be sold is withheld by now.
        after.extend(store::lock_levels(tx, &keys)?.into_iter().map(|level| (level.key(), level)));
    }
    outlook::arrived(tx, now, &changes)?;
    let lowered = changes.iter().filter(|change| change.on_hand < 0).filter_map(|change| {
        let line = steps.iter().find(|(line, step, _)| line.key == change.key() && *step < 0)?;
        Some((after.get(&change.key()).copied()?, -change.on_hand, line.0.line.pointer.clone()))
    });
    let lowered = lowered.collect();
    let levels = lines.iter().filter_map(|line| after.get(&line.key).copied()).collect();
    Ok(Adjusted { levels, changed: steps.len(), lowered })
}

impl Resolved<'_> {
    /// That its pieces are of a lot; how many is not known yet.
    fn naming(&self) -> Option<lots::Naming> {
        let lot = self.line.lot.as_ref()?;
        Some(lots::Naming {
            key: self.key,
            number: lot.number.clone(),
            expires_at: lot.expires_at,
            quantity: 0,
            fresh: lot.fresh.0,
            event: lot.fresh.1,
            pointer: self.line.pointer.clone(),
        })
    }
}

/// A naming with what is known of its lot: that counts, whatever a delivery says.
fn known_end(naming: lots::Naming, locked: &[lots::Naming]) -> lots::Naming {
    let known = locked.iter().find(|one| one.key.0 == naming.key.0 && one.number == naming.number);
    lots::Naming { expires_at: known.and_then(|one| one.expires_at), ..naming }
}

/// Says which pieces come to lots or leave them; a refusal points to the lot of its line.
fn name_lots(tx: &mut Tx, now: Instant, actor: &Actor, namings: &[lots::Naming]) -> Result<()> {
    if namings.is_empty() {
        return Ok(());
    }
    let at_lot = |error: Error| match &error {
        Error::Problem(problem) => match problem.pointer.as_deref().and_then(|at| at.strip_suffix("/quantity")) {
            Some(line) => {
                let line = format!("{line}/lot");
                error.at(line)
            }
            None => error,
        },
        _ => error,
    };
    lots::name(tx, now, actor, namings, None).map(|_| ()).map_err(at_lot)
}

/// What a line adds to a level that has `current` on hand.
fn step(line: &Adjustment, current: i64) -> Result<i64> {
    if let Some(expected) = line.expected_on_hand
        && expected != current
    {
        let detail = format!("{current} are on hand, not {expected}");
        let error = Error::problem(Code::CompareFailed, detail).at(format!("{}/expected_on_hand", line.pointer));
        return Err(error.with("on_hand", current));
    }
    let (change, field) = match line.change {
        Change::By(change) => (change, "change"),
        Change::To(wanted) => (wanted.saturating_sub(current), "set_to"),
    };
    let pointer = || format!("{}/{field}", line.pointer);
    match current.checked_add(change) {
        Some(after) if after < 0 => {
            let error = Error::problem(Code::StockNegative, format!("only {current} are on hand"));
            Err(error.at(pointer()).with("on_hand", current))
        }
        // A hundred times a movement: far from where sums of levels could overflow.
        Some(after) if after <= 100 * Quantity::MAX => Ok(change),
        _ => Err(Error::invalid(pointer(), "the level would be too high")),
    }
}

/// What `stock.adjusted.v1` says.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct StockAdjusted<'a> {
    sku: &'a str,
    variant_id: VariantId,
    location_id: LocationId,
    /// The location's code.
    location: &'a str,
    /// By how much what lies on hand has changed.
    change: i64,
    /// How much lies there now.
    on_hand: i64,
    /// How much of it is an order's.
    allocated: i64,
    /// How much of it a cart waits for.
    reserved: i64,
    /// How much of it is kept back.
    safety: i64,
    /// How much of it can not be sold: of lots that are blocked, recalled or expired.
    withheld: i64,
    /// What is left to sell.
    available: i64,
    reason: Option<&'a str>,
}

const ADJUSTED: &str = "stock.adjusted.v1";

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    let own = vec![EventSchema::of::<StockAdjusted<'_>>(ADJUSTED), told::event_schema()];
    [own, watches::event_schemas(), transfers::event_schemas()].concat()
}

/// The event.
fn event(line: &Resolved<'_>, change: i64, on_hand: i64, level: &Level, occurred_at: Instant) -> Result<NewEvent> {
    let (sku, location) = (&line.line.sku, line.location);
    let available = on_hand - level.allocated - level.reserved - level.safety - level.withheld;
    let data = StockAdjusted {
        sku,
        variant_id: level.variant,
        location_id: location.id,
        location: &location.code,
        change,
        on_hand,
        allocated: level.allocated,
        reserved: level.reserved,
        safety: level.safety,
        withheld: level.withheld,
        available,
        reason: line.line.reason.as_deref(),
    };
    Ok(NewEvent {
        id: line.line.event,
        stream: level_stream(sku, &location.code),
        aggregate: "stock",
        aggregate_id: level_name(sku, &location.code),
        aggregate_version: level.version,
        channel: None,
        kind: ADJUSTED,
        occurred_at,
        payload: Payload::of(&data)?,
        subject: None,
    })
}

/// Where the SKU of the line at a place stands in the request.
fn sku_of<T>(lines: &[T], pointer: impl Fn(&T) -> &String) -> impl Fn(usize) -> String {
    move |place| format!("{}/sku", lines.get(place).map(|line| pointer(line).as_str()).unwrap_or_default())
}

fn resolve<'a>(
    tx: &mut Tx,
    actor: &Actor,
    lines: &'a [Adjustment],
    locations: &'a Locations,
) -> Result<Vec<Resolved<'a>>> {
    let variants = stocked(tx, lines.iter().map(|line| line.sku.as_str()), sku_of(lines, |line| &line.pointer))?;
    let resolved = lines.iter().map(|line| {
        let location = place(actor, locations, &line.location, &line.pointer)?;
        let variant = known(&variants, &line.sku, &line.pointer)?;
        Ok(Resolved { line, key: (variant, location.id), location })
    });
    resolved.collect()
}

/// The variants of SKUs, with one statement.
pub(super) fn variants<'a>(tx: &mut Tx, skus: impl Iterator<Item = &'a str>) -> Result<HashMap<String, VariantId>> {
    let mut skus: Vec<String> = skus.map(str::to_owned).collect();
    skus.sort_unstable();
    skus.dedup();
    catalog::ids_of(tx, &skus)
}

/// The same for levels that are written: a bundle has none. `pointer` tells where the SKU at a place stands in the request.
pub(super) fn stocked<'a>(
    tx: &mut Tx,
    skus: impl Iterator<Item = &'a str>,
    pointer: impl Fn(usize) -> String,
) -> Result<HashMap<String, VariantId>> {
    let skus: Vec<String> = skus.map(str::to_owned).collect();
    catalog::stocked_ids_of(tx, &skus, pointer)
}

pub(super) fn known(variants: &HashMap<String, VariantId>, sku: &str, pointer: &str) -> Result<VariantId> {
    let unknown =
        || Error::problem(Code::SkuUnknown, format!("there is no variant `{sku}`")).at(format!("{pointer}/sku"));
    variants.get(sku).copied().ok_or_else(unknown)
}

/// A location by code or id, when the actor may book stock there.
///
/// # Errors
/// `not_found`, `scope_missing`; with the pointer of the document that names it.
pub fn place<'a>(actor: &Actor, locations: &'a Locations, reference: &str, pointer: &str) -> Result<&'a Location> {
    let location = locations.by_ref(reference).filter(|location| actor.sees_location(location.id));
    let location = location.ok_or_else(|| Error::not_found("location").at(format!("{pointer}/location")))?;
    places::keeps(actor, location.id).map_err(|error| error.at(format!("{pointer}/location")))?;
    Ok(location)
}

/// A level's safety stock about to be set.
#[derive(Debug, Clone)]
pub struct SafetyChange {
    /// Which variant.
    pub sku: String,
    /// Where: a location's code or id.
    pub location: String,
    /// Pieces that are never sold.
    pub safety: i64,
    /// Where the line stands in the request, as a JSON pointer.
    pub pointer: String,
    /// The id of its event; made outside the transaction.
    pub event: EventId,
}

/// Sets safety stocks: all lines or none; of lines for the same level the last counts. The levels afterwards, line by
/// line. What was so before is not told.
///
/// # Errors
/// `sku_unknown`; `bundle_without_stock`; `not_found` for a location that is not there or not the actor's.
pub fn set_safety(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    lines: &[SafetyChange],
    locations: &Locations,
) -> Result<Vec<Level>> {
    let variants = stocked(tx, lines.iter().map(|line| line.sku.as_str()), sku_of(lines, |line| &line.pointer))?;
    let mut wanted: BTreeMap<LevelKey, (&SafetyChange, &Location)> = BTreeMap::new();
    let mut order = Vec::with_capacity(lines.len());
    for line in lines {
        let location = place(actor, locations, &line.location, &line.pointer)?;
        let key = (known(&variants, &line.sku, &line.pointer)?, location.id);
        wanted.insert(key, (line, location));
        order.push(key);
    }
    let keys: Vec<LevelKey> = wanted.keys().copied().collect();
    store::make_levels(tx, now, &keys)?;
    // The rows stay locked from here on: what is told is what has changed.
    let before: HashMap<LevelKey, i64> =
        store::lock_levels(tx, &keys)?.iter().map(|level| (level.key(), level.safety)).collect();
    let pieces: Vec<(LevelKey, i64)> = wanted.iter().map(|(key, (line, _))| (*key, line.safety)).collect();
    let changed = store::set_safety(tx, now, &pieces)?;
    let after: HashMap<LevelKey, Level> = changed.into_iter().map(|level| (level.key(), level)).collect();
    let changed = wanted.iter().filter_map(|(key, (line, location))| {
        let level = after.get(key).filter(|level| before.get(key) != Some(&level.safety))?;
        Some(Changed { event: line.event, sku: &line.sku, code: &location.code, level, change: 0 })
    });
    told::tell(tx, now, actor, Cause { kind: ChangeKind::Safety, reference: None, occurred_at: now }, changed)?;
    Ok(order.iter().filter_map(|key| after.get(key).copied()).collect())
}

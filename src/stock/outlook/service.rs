//! Commands and questions about what can be had.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    model::{BackorderKind, Day, Part, Shelf, comes, late, over_time},
    store,
};
use serde::{Deserialize, Serialize};

use crate::{
    catalog::{self, StockPolicy, Variant},
    db::{Tx, dialect},
    error::{Error, Result},
    jobs::{self, NewJob},
    kernel::{
        Actor, Capabilities, Instant,
        ids::{CartId, EventId, InboundShipmentId, OrderId, PurchaseOrderId, TransferId, VariantId},
        local,
    },
    stock::{
        Level, LevelChange, LevelKey, Locations, Market, levels_at,
        list::{self, Filter},
        model::{Occasion, Selling},
        service::{names, tell},
        store as levels,
        told::ChangeKind,
    },
};

/// What of articles can be had at all locations together that give them to a market; absent is nothing. One statement.
///
/// # Errors
/// What the database says.
fn on_the_shelf<'v>(
    tx: &mut Tx,
    wanted: impl Iterator<Item = &'v Variant>,
    (selling, market): (Selling, Market<'_>),
) -> Result<HashMap<VariantId, Shelf>> {
    // Named twice it would count twice.
    let wanted: BTreeMap<VariantId, &Capabilities> = wanted.map(|variant| (variant.id, &variant.requires)).collect();
    let ids: Vec<VariantId> = wanted.keys().copied().collect();
    let levels = if ids.is_empty() { Vec::new() } else { store::on_the_shelf(tx, &ids, selling)? };
    let (served, mut shelves) = (market.served(), HashMap::<VariantId, Shelf>::new());
    for ((variant, location), shelf) in levels {
        if wanted.get(&variant).is_some_and(|requires| served.by(location, requires)) {
            let sum = shelves.entry(variant).or_default();
            *sum = sum.and(shelf);
        }
    }
    Ok(shelves)
}

/// What can be had of variants; of bundles, which are made to be what their components make of them
/// ([`catalog::with_components`]), what these suffice for. One statement, and one more where there is a bundle.
///
/// # Errors
/// What the database says.
pub fn shelves(tx: &mut Tx, variants: &mut [Variant], to: (Selling, Market<'_>)) -> Result<HashMap<VariantId, Shelf>> {
    let parts = catalog::with_components(tx, variants)?;
    shelves_among(tx, (variants, &parts), to)
}

/// The same of variants whose components are at hand. One statement.
///
/// # Errors
/// What the database says.
pub fn shelves_among(
    tx: &mut Tx,
    (variants, parts): (&[Variant], &[Variant]),
    to: (Selling, Market<'_>),
) -> Result<HashMap<VariantId, Shelf>> {
    let articles = variants.iter().chain(parts).filter(|variant| !variant.is_bundle());
    let mut shelves = on_the_shelf(tx, articles, to)?;
    let by_sku: HashMap<&str, &Variant> =
        variants.iter().chain(parts).map(|variant| (variant.sku.as_str(), variant)).collect();
    for bundle in variants.iter().filter(|variant| variant.is_bundle()) {
        let part = |component: &catalog::Component| {
            let variant = by_sku.get(&*component.sku).filter(|one| one.stock_policy == StockPolicy::Tracked)?;
            let shelf = shelves.get(&variant.id).copied().unwrap_or_default();
            Some(Part { shelf, in_one: component.quantity.get(), limited: variant.is_limited() })
        };
        let parts: Vec<Part> = bundle.components.iter().filter_map(part).collect();
        shelves.insert(bundle.id, Shelf::of_bundle(&parts));
    }
    Ok(shelves)
}

/// Pieces that are to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Of what, where.
    pub key: LevelKey,
    /// When.
    pub expected_at: Instant,
    /// How many: at least one.
    pub quantity: i64,
}

/// The kind of the job by which is told that what is to come to levels has changed which owe more than they have: whoever waits for it
/// looks again. Its payload is [`ChangedLevels`].
pub const CHANGED: &str = "stock.expected_changed";

/// Levels to which something else is to come than before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangedLevels {
    /// Which.
    pub levels: Vec<LevelKey>,
    /// Whether goods have come to them: where many wait, those are looked at who have what they wait for by now, not all who have moved up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub come: bool,
    /// Behind which of those who wait the next are looked at, where they are many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<OrderId>,
}

/// Says what is to come by a document (a purchase order, an announced delivery, a transfer), instead of what was said of it before;
/// nothing any more where the list is empty. Pieces of one level at one instant are added up. Two statements, and two more where
/// something has changed.
///
/// # Errors
/// What the database says.
pub fn expect(tx: &mut Tx, now: Instant, reference: &str, expected: &[Expected]) -> Result<()> {
    let mut sums: BTreeMap<(LevelKey, Instant), i64> = BTreeMap::new();
    for one in expected.iter().filter(|one| one.quantity > 0) {
        *sums.entry((one.key, one.expected_at)).or_default() += one.quantity;
    }
    let sums = sums.into_iter().map(|((key, expected_at), quantity)| Expected { key, expected_at, quantity });
    // One after another: of two that say it at once, the later one's word counts whole.
    dialect::lock_named(tx, &format!("expected:{reference}"))?;
    let sums: Vec<Expected> = sums.collect();
    let before = store::expect(tx, reference, &sums)?;
    let gone = before.iter().filter(|one| !sums.contains(one));
    let new = sums.iter().filter(|one| !before.contains(one));
    let changed: BTreeSet<LevelKey> = gone.chain(new).map(|one| one.key).collect();
    tell_waiting(tx, now, &changed.into_iter().collect::<Vec<_>>())
}

/// Lets those look again who wait for goods of levels, as far as these owe more than they have. The levels are locked: an order that takes
/// of them at the same time is either seen here, or placed after this was committed, and looks for itself then.
fn tell_waiting(tx: &mut Tx, now: Instant, changed: &[LevelKey]) -> Result<()> {
    let locked = if changed.is_empty() { Vec::new() } else { levels::lock_levels(tx, changed)? };
    let owing = locked.iter().filter(|level| level.allocated > level.on_hand - level.withheld);
    look_again(tx, now, owing.map(Level::key).collect())
}

/// Lets those look again who wait for goods at levels. One statement, none where there are no levels.
///
/// # Errors
/// What the database says.
pub(in crate::stock) fn look_again(tx: &mut Tx, now: Instant, levels: Vec<LevelKey>) -> Result<()> {
    if levels.is_empty() {
        return Ok(());
    }
    let task = serde_json::to_value(ChangedLevels { levels, come: false, after: None })?;
    jobs::enqueue(tx, now, vec![NewJob::now(CHANGED, now, task)])
}

/// The kind of the job by which is told that goods have come somewhere of which another location, or that one, may owe some: whoever
/// waits for them looks again whether they are for them. Its payload is [`ArrivedGoods`].
pub const ARRIVED: &str = "stock.arrived";

/// Goods that have come.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct ArrivedGoods {
    /// What they are.
    pub variant: VariantId,
    /// Behind which of those who wait the next look again, where they are many: in which rank it is served, when it is due, and which it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<(i64, Instant, OrderId)>,
}

/// Lets those look again who wait for goods that have just come, wherever these lie: one statement, and one more where anybody may wait.
/// An order that is placed at the same time looks for itself ([`came_elsewhere`]).
///
/// # Errors
/// What the database says.
pub(in crate::stock) fn arrived(tx: &mut Tx, now: Instant, changes: &[LevelChange]) -> Result<()> {
    let come = changes.iter().filter(|change| change.on_hand > 0).map(|change| change.variant);
    arrived_of(tx, now, come.collect())
}

/// The same of goods that can be sold again where they lie.
///
/// # Errors
/// What the database says.
pub(in crate::stock) fn arrived_of(tx: &mut Tx, now: Instant, come: BTreeSet<VariantId>) -> Result<()> {
    let come: Vec<VariantId> = come.into_iter().collect();
    let owing = if come.is_empty() { Vec::new() } else { store::owing(tx, &come)? };
    let job = |variant: VariantId| {
        Ok(NewJob::now(ARRIVED, now, serde_json::to_value(ArrivedGoods { variant, after: None })?))
    };
    match owing.is_empty() {
        true => Ok(()),
        false => jobs::enqueue(tx, now, owing.into_iter().map(job).collect::<Result<_>>()?),
    }
}

/// Whether pieces of a variant are available anywhere. One statement.
///
/// # Errors
/// What the database says.
pub fn lies_free(tx: &mut Tx, variant: VariantId) -> Result<bool> {
    store::lies_free(tx, variant)
}

/// By so many seconds a level may have changed later than it says: it says when the request began by which it was, not when that was
/// committed.
const OVERTAKING_SECONDS: i64 = 60;

/// Whether what an order waits for may have come elsewhere between when it was reserved for its cart and when it was placed: then nobody
/// has told it so. Two statements, one where nothing was reserved before.
///
/// # Errors
/// What the database says.
pub fn came_elsewhere(tx: &mut Tx, cart: CartId, waits_at: &[(LevelKey, i64)]) -> Result<bool> {
    let levels: Vec<LevelKey> = waits_at.iter().map(|(key, _)| *key).collect();
    match levels::reserved_at(tx, cart)? {
        Some(since) if !levels.is_empty() => {
            store::changed_elsewhere(tx, &levels, since.plus_seconds(-OVERTAKING_SECONDS))
        }
        _ => Ok(false),
    }
}

/// When goods come to levels, for whoever waits for so many pieces there as the last of those who wait: none where nobody knows. What was to come before today and has not counts for nothing. Three statements, none where nothing is asked.
///
/// # Errors
/// What the database says.
pub fn coming(
    tx: &mut Tx,
    now: Instant,
    locations: &Locations,
    wanted: &[(LevelKey, i64)],
) -> Result<HashMap<LevelKey, Option<Instant>>> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let keys: Vec<LevelKey> = wanted.iter().map(|(key, _)| *key).collect();
    let levels = levels_at(tx, &keys)?;
    let supplies = supplies(tx, now, locations, &keys)?;
    let when = |(key, pieces): &(LevelKey, i64)| {
        // Behind what others have ordered and does not lie there.
        let owes = levels.get(key).map_or(0, |level| level.allocated + level.withheld - level.on_hand);
        let lacks = pieces + owes.max(0);
        (*key, supplies.get(key).and_then(|supply| supply.comes(lacks)))
    };
    Ok(wanted.iter().map(when).collect())
}

/// What comes to a level, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Supply {
    /// What is to come, what comes first first.
    pub expected: Vec<(Instant, i64)>,
    /// From when it is to be had by what was said with its backorders, where that is not over.
    pub available_from: Option<Instant>,
}

impl Supply {
    /// When so many pieces have come; none where nobody knows.
    #[must_use]
    pub fn comes(&self, lacks: i64) -> Option<Instant> {
        comes(lacks, self.expected.iter().copied()).or(self.available_from)
    }
}

/// What comes to levels from today on, by their calendars. Two statements.
///
/// # Errors
/// What the database says.
pub fn supplies(
    tx: &mut Tx,
    now: Instant,
    locations: &Locations,
    levels: &[LevelKey],
) -> Result<HashMap<LevelKey, Supply>> {
    let mut found: HashMap<LevelKey, Supply> = HashMap::new();
    for one in store::expected(tx, levels)? {
        let zone = locations.get(one.key.1).map_or(chrono_tz::Tz::UTC, |place| place.time_zone.0);
        if local::day_of(zone, one.expected_at) >= local::day_of(zone, now) {
            found.entry(one.key).or_default().expected.push((one.expected_at, one.quantity));
        }
    }
    for one in store::backorders(tx, levels)? {
        found.entry(one.key).or_default().available_from = one.available_from.filter(|at| *at > now);
    }
    Ok(found)
}

/// The same at somebody's word. Who is limited to some locations does not replace what is to come to others.
///
/// # Errors
/// `not_found` where the document is another's too; `invalid_value` for a document of ours, which says itself what is to come by it.
pub(super) fn replace_expected(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    reference: &str,
    expected: &[Expected],
) -> Result<()> {
    let ours = reference.parse::<InboundShipmentId>().is_ok()
        || reference.parse::<PurchaseOrderId>().is_ok()
        || reference.parse::<TransferId>().is_ok();
    if ours {
        let detail = "this is a document of ours, which says itself what is to come by it: name one of your own";
        return Err(Error::invalid("/reference", detail));
    }
    let places = store::places_of(tx, reference)?;
    if places.iter().any(|place| !actor.keeps_stock_at(*place)) {
        return Err(Error::not_found("document").at("/reference"));
    }
    expect(tx, now, reference, expected)
}

/// How many may be sold beyond what is there, why and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backorder {
    /// Of what, where.
    pub key: LevelKey,
    /// Why.
    pub kind: BackorderKind,
    /// How many at most; none is the end of it.
    pub pieces: i64,
    /// From when it is to be had.
    pub available_from: Option<Instant>,
    /// When it ends by itself.
    pub closes_at: Option<Instant>,
}

/// Sets how many may be sold beyond what is there, level by level. What was sold so already stays sold. The levels afterwards, in
/// key order; `fresh` are ids for events: as many as there are rows suffice.
///
/// # Errors
/// `invalid_value` for a time that is over.
pub fn set_backorders(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    rows: &[Backorder],
    fresh: &[EventId],
) -> Result<Vec<Level>> {
    let rows: BTreeMap<LevelKey, Backorder> = rows.iter().map(|row| (row.key, *row)).collect();
    if rows.values().any(|row| row.pieces > 0 && row.closes_at.is_some_and(|at| at <= now)) {
        return Err(Error::invalid("/lines", "closes_at is over already"));
    }
    let keys: Vec<LevelKey> = rows.keys().copied().collect();
    levels::make_levels(tx, now, &keys)?;
    let before: HashMap<LevelKey, Option<Instant>> =
        store::backorders(tx, &keys)?.into_iter().map(|row| (row.key, row.available_from)).collect();
    store::keep_backorders(tx, now, &rows.values().copied().collect::<Vec<_>>())?;
    let moved = rows.values().filter(|row| before.get(&row.key).copied().flatten() != row.available_from);
    tell_waiting(tx, now, &moved.map(|row| row.key).collect::<Vec<_>>())?;
    let wanted: Vec<(LevelKey, i64)> = rows.values().map(|row| (row.key, row.pieces)).collect();
    announce(tx, now, actor, &wanted, fresh)?;
    levels::lock_levels(tx, &keys)
}

/// Sets the limits of levels, and tells of those that had others.
fn announce(tx: &mut Tx, now: Instant, actor: &Actor, wanted: &[(LevelKey, i64)], fresh: &[EventId]) -> Result<()> {
    let changes: Vec<LevelChange> = wanted.iter().map(|(key, _)| LevelChange::of(*key)).collect();
    let names = names(tx, &changes)?;
    let changed = store::set_beyond(tx, now, wanted)?;
    let changes: Vec<LevelChange> = changed.iter().map(|level| LevelChange::of(level.key())).collect();
    let occasion = Occasion { actor, reference: None, occurred_at: now };
    match changed.is_empty() {
        true => Ok(()),
        false => tell(tx, now, (ChangeKind::Beyond, occasion), &names, (&changes, &changed), fresh),
    }
}

/// Ends what was to end by now; how many levels that were. `fresh` are ids for events, of which as many are ended at most.
///
/// # Errors
/// What the database says.
pub fn close_ended(tx: &mut Tx, now: Instant, actor: &Actor, fresh: &[EventId]) -> Result<usize> {
    let limit = i64::try_from(fresh.len()).map_err(Error::internal)?;
    let mut ended: Vec<(LevelKey, i64)> =
        store::end_backorders(tx, now, limit)?.into_iter().map(|key| (key, 0)).collect();
    ended.sort_unstable();
    if !ended.is_empty() {
        announce(tx, now, actor, &ended, fresh)?;
    }
    Ok(ended.len())
}

/// What can be had of a level, day by day.
#[derive(Debug, Clone)]
pub(super) struct Outlook {
    pub level: Level,
    pub backorder: Option<Backorder>,
    pub late: i64,
    pub days: Vec<Day>,
}

/// What can be had of levels day by day, those included of which there was never anything and something is to come. Four statements.
pub(super) fn outlook(
    tx: &mut Tx,
    now: Instant,
    filter: &Filter,
    locations: &Locations,
    days: usize,
) -> Result<Vec<Outlook>> {
    let mut found: BTreeMap<LevelKey, Level> =
        list::levels(tx, filter, None, MOST_LEVELS)?.into_iter().map(|level| (level.key(), level)).collect();
    let sees = |key: &LevelKey| filter.locations.as_ref().is_none_or(|some| some.contains(&key.1));
    for key in store::awaited(tx, filter.variants.as_deref().unwrap_or_default())?.into_iter().filter(sees) {
        found.entry(key).or_insert_with(|| empty(key, now));
    }
    let keys: Vec<LevelKey> = found.keys().copied().collect();
    let expected = store::expected(tx, &keys)?;
    let backorders = store::backorders(tx, &keys)?;
    let outlook = found.into_values().filter_map(|level| {
        let zone = locations.get(level.location).ok()?.time_zone.0;
        let own = expected.iter().filter(|one| one.key == level.key());
        let own: Vec<_> = own.map(|one| (local::day_of(zone, one.expected_at), one.quantity)).collect();
        let today = local::day_of(zone, now);
        Some(Outlook {
            backorder: backorders.iter().find(|row| row.key == level.key()).copied(),
            late: late(&own, today),
            days: over_time(level.available(), &own, today, days),
            level,
        })
    });
    Ok(outlook.collect())
}

/// So many levels are shown at once.
const MOST_LEVELS: i64 = 1000;

fn empty((variant, location): LevelKey, now: Instant) -> Level {
    Level {
        variant,
        location,
        on_hand: 0,
        allocated: 0,
        reserved: 0,
        safety: 0,
        withheld: 0,
        beyond: 0,
        version: 0,
        updated_at: now,
    }
}

//! Commands on counts. Each locks the count first and moves the stock levels last.

use std::collections::{BTreeMap, HashMap};

use super::{
    api::{Counted, NewCount},
    model::{CountCommand, CountLine, CountState, StockCount},
    store,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    kernel::{
        Actor, Instant,
        ids::{EventId, StockCountId, VariantId},
    },
    stock::{AtDocks, Entry, Level, LevelKey, Locations, MovementKind, adjust, book, outlook, places, store as levels},
};

// What is asked for as it stands in the tables.
pub(in crate::stock) use super::store::last_counted;
pub(super) use super::store::page;

/// Asks for a count.
///
/// # Errors
/// `not_found` for the location, `scope_missing`, `sku_unknown`, `bundle_without_stock`.
pub(super) fn create(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    locations: &Locations,
    id: StockCountId,
    new: &NewCount,
) -> Result<StockCount> {
    let location = adjust::place(actor, locations, &new.location, "")?;
    let variants = adjust::stocked(tx, new.skus.iter().map(|sku| &**sku), |place| format!("/skus/{place}"))?;
    let mut lines: BTreeMap<String, CountLine> = BTreeMap::new();
    for (place, sku) in new.skus.iter().enumerate() {
        let unknown = || {
            let error = Error::problem(Code::SkuUnknown, format!("there is no variant `{}`", &**sku));
            error.at(format!("/skus/{place}"))
        };
        let line = CountLine {
            variant_id: variants.get(&**sku).copied().ok_or_else(unknown)?,
            sku: sku.to_string(),
            rounds: 0,
            recount: false,
            counted: None,
            on_hand: None,
            counted_at: None,
            counted_by: None,
            level_version: None,
            settled_by: None,
        };
        lines.insert(line.sku.clone(), line);
    }
    let count = StockCount {
        id,
        location_id: location.id,
        name: new.name.as_ref().map(ToString::to_string),
        state: CountState::Open,
        tolerance: new.tolerance,
        lines: lines.into_values().collect(),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    store::insert(tx, &count)?;
    Ok(count)
}

/// A count that the actor may see.
///
/// # Errors
/// `not_found`.
pub(super) fn find(tx: &mut Tx, actor: &Actor, id: StockCountId) -> Result<StockCount> {
    let found = store::get(tx, id)?.filter(|one| actor.sees_location(one.location_id));
    found.ok_or_else(|| Error::not_found("stock count"))
}

fn lock(tx: &mut Tx, actor: &Actor, id: StockCountId) -> Result<StockCount> {
    let seen = find(tx, actor, id)?;
    places::keeps(actor, seen.location_id)?;
    store::lock(tx, id)?.ok_or_else(|| Error::not_found("stock count"))
}

fn save(tx: &mut Tx, now: Instant, count: &mut StockCount, command: CountCommand) -> Result<()> {
    count.state = count.state.apply(command, count.is_complete())?;
    (count.version, count.updated_at) = (count.version + 1, now);
    match store::save(tx, count)? {
        true => Ok(()),
        false => Err(Error::internal("a count has changed while it was locked")),
    }
}

/// Notes what was counted, against what the levels say now.
///
/// # Errors
/// `not_found`, `scope_missing`, `state_conflict`; `sku_unknown` for what is not in the count; `duplicate` for a SKU that is named
/// twice.
pub(super) fn record(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    id: StockCountId,
    results: &[Counted],
) -> Result<StockCount> {
    let mut count = lock(tx, actor, id)?;
    count.state.takes(CountCommand::Record)?;
    let mut found: BTreeMap<VariantId, i64> = BTreeMap::new();
    for (place, result) in results.iter().enumerate() {
        let line = count.lines.iter().find(|line| line.sku == *result.sku);
        let unknown = || {
            let error = Error::problem(Code::SkuUnknown, format!("`{}` is not in this count", &*result.sku));
            error.at(format!("/lines/{place}/sku"))
        };
        if found.insert(line.ok_or_else(unknown)?.variant_id, result.counted.get()).is_some() {
            let error = Error::problem(Code::Duplicate, format!("`{}` is counted twice", &*result.sku));
            return Err(error.at(format!("/lines/{place}/sku")));
        }
    }
    let keys: Vec<LevelKey> = found.keys().map(|variant| (*variant, count.location_id)).collect();
    let levels = locked(tx, &keys)?;
    let by = actor.label();
    let recorded = found.into_iter().filter_map(|(variant, counted)| {
        let Standing { on_hand, version, settled_by, .. } = levels.get(&variant).copied().unwrap_or_default();
        count.record(variant, (counted, on_hand, version, settled_by), (now, &by))
    });
    let recorded: Vec<CountLine> = recorded.collect();
    if !store::record(tx, (now, &by), id, &recorded)? {
        return Err(Error::internal("a line of a count has gone"));
    }
    save(tx, now, &mut count, CountCommand::Record)?;
    Ok(count)
}

/// How a level stands, and the last movement by which somebody said how many lie there.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    on_hand: i64,
    version: i64,
    settled_by: i64,
    allocated: i64,
}

/// How levels stand, locked until the end of the transaction: what is written of them later has a later movement. Those without a row
/// are absent, and have had no movement.
fn locked(tx: &mut Tx, keys: &[LevelKey]) -> Result<HashMap<VariantId, Standing>> {
    let levels = levels::lock_levels(tx, keys)?;
    let settled = levels::settled(tx, keys)?;
    let standing = |level: &Level| {
        let settled_by = settled.get(&level.key()).copied().unwrap_or_default();
        (
            level.variant,
            Standing { on_hand: level.on_hand, version: level.version, settled_by, allocated: level.allocated },
        )
    };
    Ok(levels.iter().map(standing).collect())
}

/// Books the differences; or, where somebody has said otherwise since how many lie there (another count, a snapshot, an adjustment, a
/// repair), books nothing and lets those lines be counted again.
///
/// # Errors
/// `not_found`, `scope_missing`, `state_conflict`; `stock_negative` when less lies there by now than is missing, or some of that stands at
/// a dock for orders: count again.
pub(super) fn approve(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    fresh: &[EventId],
    (id, docks): (StockCountId, AtDocks),
) -> Result<StockCount> {
    let mut count = lock(tx, actor, id)?;
    count.state.takes(CountCommand::Approve)?;
    let mut keys: Vec<LevelKey> = count.lines.iter().map(|line| (line.variant_id, count.location_id)).collect();
    keys.sort_unstable();
    let levels = locked(tx, &keys)?;
    let stale = count.overtaken(|variant| {
        let Standing { version, settled_by, .. } = levels.get(&variant).copied().unwrap_or_default();
        (version, settled_by)
    });
    store::count_again(tx, id, &stale)?;
    save(tx, now, &mut count, CountCommand::Approve)?;
    if !stale.is_empty() {
        return Ok(count);
    }
    let entry = |line: &CountLine| {
        let key = (line.variant_id, count.location_id);
        let reason = count.name.clone();
        (line.difference() != 0).then(|| Entry { reason, ..Entry::goods(key, MovementKind::Count, line.difference()) })
    };
    let entries: Vec<Entry> = count.lines.iter().filter_map(entry).collect();
    let moved = book(tx, now, actor, &entries, (Some(&id.to_string()), now), fresh)?;
    let lowered = entries.iter().filter(|entry| entry.on_hand < 0).filter_map(|entry| {
        let level = moved.iter().find(|level| level.key() == (entry.variant, entry.location))?;
        Some((*level, -entry.on_hand, String::new()))
    });
    docks.leave(tx, &lowered.collect::<Vec<_>>())?;
    // What a picker had not found is there, or the books say now that it is not: who has a claim to it looks again.
    let owing = |key: &LevelKey| levels.get(&key.0).is_some_and(|level| level.allocated > 0);
    outlook::look_again(tx, now, keys.into_iter().filter(owing).collect())?;
    Ok(count)
}

/// Gives a count up.
///
/// # Errors
/// `not_found`, `scope_missing`, `state_conflict`.
pub(super) fn cancel(tx: &mut Tx, (now, actor): (Instant, &Actor), id: StockCountId) -> Result<StockCount> {
    let mut count = lock(tx, actor, id)?;
    save(tx, now, &mut count, CountCommand::Cancel)?;
    Ok(count)
}

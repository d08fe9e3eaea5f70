//! Looking at watched levels.

use std::collections::HashSet;

use serde::Serialize;

// What is asked for as it stands in the tables.
pub(super) use super::store::{after, drop_watches, keep, of};
use super::{
    model::{Crossing, Seen},
    store,
};
use crate::{
    db::Tx,
    error::Result,
    events::{self, EventSchema, NewEvent, Payload},
    kernel::{
        Actor, Id, Instant,
        ids::{LocationId, VariantId},
    },
    stock::{
        LevelChange,
        model::{LevelKey, level_name, level_stream},
        service::names,
    },
};

/// What `stock.low.v1`, `stock.reorder.v1` and `stock.back.v1` say.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct StockCrossing<'a> {
    sku: &'a str,
    variant_id: VariantId,
    location_id: LocationId,
    /// The location's code.
    location: &'a str,
    /// How much lies there.
    on_hand: i64,
    /// What is there to sell.
    available: i64,
    /// What is to come.
    expected: i64,
    /// From how many available pieces on it is low.
    low_at: Option<i64>,
    /// From how many pieces on, available and to come, it is to be reordered.
    reorder_at: Option<i64>,
    /// How many are to be ordered then.
    reorder_quantity: Option<i64>,
}

/// What the events of watches carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    Crossing::ALL.iter().map(|crossing| EventSchema::of::<StockCrossing<'_>>(crossing.as_str())).collect()
}

/// What a look at watched levels came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// How many events were told.
    pub told: usize,
    /// Where to go on; nothing at the end.
    pub next: Option<LevelKey>,
}

/// Looks at the next watched levels and tells of what has become of them since the last look, each crossing once. Of a level that
/// crossed there and back meanwhile nothing is told.
///
/// # Errors
/// What the database says.
pub fn look(tx: &mut Tx, now: Instant, actor: &Actor, after: Option<LevelKey>, limit: i64) -> Result<Looked> {
    let seen = store::after(tx, after, limit)?;
    let more = i64::try_from(seen.len()).is_ok_and(|count| count == limit);
    let next = seen.last().filter(|_| more).map(|one| one.watch.key);
    let moved: Vec<Seen> = seen.into_iter().filter(|one| one.standing() != one.watch.standing).collect();
    if moved.is_empty() {
        return Ok(Looked { told: 0, next });
    }
    // Whoever looked at the same time has told of it already.
    let noted: HashSet<LevelKey> = store::note(tx, now, &moved)?.into_iter().collect();
    let changes: Vec<LevelChange> = moved.iter().map(|one| LevelChange::of(one.watch.key)).collect();
    let names = names(tx, &changes)?;
    let mut told = Vec::new();
    for one in moved.iter().filter(|one| noted.contains(&one.watch.key)) {
        let Some((sku, location)) = names.get(&one.watch.key) else { continue };
        for crossing in one.crossings() {
            told.push(event(crossing, one, sku, location, now)?);
        }
    }
    let count = told.len();
    events::append(tx, actor, now, told)?;
    Ok(Looked { told: count, next })
}

fn event(crossing: Crossing, seen: &Seen, sku: &str, location: &str, now: Instant) -> Result<NewEvent> {
    let (variant_id, location_id) = seen.watch.key;
    let data = StockCrossing {
        sku,
        variant_id,
        location_id,
        location,
        on_hand: seen.on_hand,
        available: seen.available,
        expected: seen.expected,
        low_at: seen.watch.low_at,
        reorder_at: seen.watch.reorder_at,
        reorder_quantity: seen.watch.reorder_quantity,
    };
    Ok(NewEvent {
        // Nobody is told of it before the commit, so a second run may give another.
        id: Id::new(),
        stream: level_stream(sku, location),
        // Not the level itself: that has moved on meanwhile, and its versions must not go back.
        aggregate: "stock_watch",
        aggregate_id: level_name(sku, location),
        aggregate_version: seen.watch.version + 1,
        channel: None,
        kind: crossing.as_str(),
        occurred_at: now,
        payload: Payload::of(&data)?,
        subject: None,
    })
}

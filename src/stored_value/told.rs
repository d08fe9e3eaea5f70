//! What the log is told of stored values.

use serde::Serialize;
use utoipa::ToSchema;

use super::model::{Entry, StoredValue};
use crate::{
    db::Tx,
    error::Result,
    events::{self, EventSchema, NewEvent, Payload},
    kernel::{
        Actor, Instant,
        ids::{EventId, StoredValueEntryId},
    },
};

/// Its balance changed.
const BOOKED: &str = "stored_value.booked.v1";
/// Its state, end or note changed.
const UPDATED: &str = "stored_value.updated.v1";

/// A stored value as events tell of it, with what has changed it. What staff wrote may be personal, and is not told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ToldStoredValue)]
struct Told {
    #[serde(flatten)]
    value: StoredValue,
    /// The change of its balance.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<Entry>,
}

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    [BOOKED, UPDATED].into_iter().map(EventSchema::of::<Told>).collect()
}

/// Tells of changes of balances; what is only set aside is no news.
pub(super) fn booked(tx: &mut Tx, now: Instant, actor: &Actor, booked: &[(&StoredValue, &Entry)]) -> Result<()> {
    let moved = booked.iter().filter(|(_, entry)| entry.amount.minor() != 0);
    let events: Result<Vec<NewEvent>> =
        moved.map(|(value, entry)| event(now, BOOKED, entry.id, value, Some(*entry))).collect();
    match events? {
        none if none.is_empty() => Ok(()),
        events => events::append(tx, actor, now, events),
    }
}

/// Tells of another change; `fresh` gives the event its id.
pub(super) fn updated(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: StoredValueEntryId,
    value: &StoredValue,
) -> Result<()> {
    events::append(tx, actor, now, vec![event(now, UPDATED, fresh, value, None)?])
}

fn event(
    now: Instant,
    kind: &'static str,
    fresh: StoredValueEntryId,
    value: &StoredValue,
    entry: Option<&Entry>,
) -> Result<NewEvent> {
    Ok(NewEvent {
        // A change is told of once.
        id: EventId::from_bytes(*fresh.bytes()),
        stream: value.id.to_string(),
        aggregate: "stored_value",
        aggregate_id: value.id.to_string(),
        aggregate_version: value.version,
        channel: None,
        kind,
        occurred_at: now,
        payload: Payload::of(&Told {
            value: StoredValue { note: None, ..value.clone() },
            entry: entry.map(|entry| Entry { reason: None, ..entry.clone() }),
        })?,
        subject: value.customer_id,
    })
}

//! What the events of a dock say: each carries the whole match.

use super::model::{DockMatch, MatchState};
use crate::{
    db::Tx,
    error::Result,
    events::{self, EventSchema, NewEvent, Payload},
    fulfilment::ids::Draw,
    kernel::{Actor, Instant},
};

const PLANNED: &str = "dock_match.planned.v1";
const RECEIVED: &str = "dock_match.received.v1";
const DONE: &str = "dock_match.done.v1";
const CANCELLED: &str = "dock_match.cancelled.v1";

/// What the events of this part carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    [PLANNED, RECEIVED, DONE, CANCELLED].into_iter().map(EventSchema::of::<DockMatch>).collect()
}

/// Tells where matches stand now, all with one statement. A state is reached once, so its place is the version.
pub(super) fn tell(tx: &mut Tx, now: Instant, actor: &Actor, draw: &mut Draw<'_>, matches: &[DockMatch]) -> Result<()> {
    let event = |one: &DockMatch| {
        let (kind, version) = match one.state {
            MatchState::Planned => (PLANNED, 1),
            MatchState::Received => (RECEIVED, 2),
            MatchState::Done => (DONE, 3),
            MatchState::Cancelled => (CANCELLED, 3),
        };
        Ok(NewEvent {
            id: draw.next(),
            stream: format!("dock:{}", one.id),
            aggregate: "dock_match",
            aggregate_id: one.id.to_string(),
            aggregate_version: version,
            channel: None,
            kind,
            occurred_at: now,
            payload: Payload::of(one)?,
            subject: None,
        })
    };
    let events: Result<Vec<NewEvent>> = matches.iter().map(event).collect();
    match events? {
        events if events.is_empty() => Ok(()),
        events => events::append(tx, actor, now, events),
    }
}

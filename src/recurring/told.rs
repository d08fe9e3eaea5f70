//! What the log is told of recurring orders.

use serde::Serialize;
use utoipa::ToSchema;

use super::model::{RecurringOrder, RecurringRun};
use crate::{
    db::Tx,
    error::Result,
    events::{self, EventSchema, NewEvent, Payload},
    kernel::{Actor, Instant, ids::EventId},
};

/// A date has become an order.
pub(super) const ORDERED: &str = "recurring_order.ordered.v1";
/// A date could not be ordered: its customer wants to know.
pub(super) const FAILED: &str = "recurring_order.failed.v1";

/// A recurring order as events tell of it, with the date that it is about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ToldRecurringOrder)]
struct Told<'a> {
    #[serde(flatten)]
    recurring: &'a RecurringOrder,
    /// The date.
    run: &'a RecurringRun,
}

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    [ORDERED, FAILED].into_iter().map(EventSchema::of::<Told<'_>>).collect()
}

/// Tells of a date.
pub(super) fn tell(
    tx: &mut Tx,
    now: Instant,
    id: EventId,
    kind: &'static str,
    (recurring, run): (&RecurringOrder, &RecurringRun),
) -> Result<()> {
    let event = NewEvent {
        id,
        stream: recurring.id.to_string(),
        aggregate: "recurring_order",
        aggregate_id: recurring.id.to_string(),
        aggregate_version: recurring.version,
        channel: Some(recurring.channel_id),
        kind,
        occurred_at: now,
        payload: Payload::of(&Told { recurring, run })?,
        subject: Some(recurring.customer_id),
    };
    events::append(tx, &Actor::System("recurring"), now, vec![event])
}

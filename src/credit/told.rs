//! What the log is told of companies' credits.

use serde::Serialize;
use utoipa::ToSchema;

use super::model::{Credit, CreditEntry};
use crate::{
    db::Tx,
    error::Result,
    events::{self, EventSchema, NewEvent, Payload},
    kernel::{Actor, Instant, ids::EventId},
};

/// A company's credit has changed.
const BOOKED: &str = "company_credit.booked.v1";

/// A company's credit as events tell of it, with what has changed it. What staff wrote is not told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ToldCompanyCredit)]
struct Told {
    #[serde(flatten)]
    credit: Credit,
    /// The change.
    entry: CreditEntry,
}

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    vec![EventSchema::of::<Told>(BOOKED)]
}

/// Tells of a change.
pub(super) fn booked(tx: &mut Tx, now: Instant, actor: &Actor, credit: &Credit, entry: &CreditEntry) -> Result<()> {
    let name = format!("{}:{}", credit.company_id, credit.limit.currency());
    let event = NewEvent {
        // A change is told of once.
        id: EventId::from_bytes(*entry.id.bytes()),
        // Streams that begin as companies' ids are of people, and for those who may read these.
        stream: format!("credit:{name}"),
        aggregate: "company_credit",
        aggregate_id: name,
        aggregate_version: credit.version,
        channel: None,
        kind: BOOKED,
        occurred_at: now,
        payload: Payload::of(&Told { credit: credit.clone(), entry: CreditEntry { reason: None, ..entry.clone() } })?,
        subject: None,
    };
    events::append(tx, actor, now, vec![event])
}

//! What the log is told of quotes.

use serde::Serialize;
use utoipa::ToSchema;

use super::model::{Quote, QuoteRound};
use crate::{
    db::Tx,
    error::Result,
    events::{self, EventSchema, NewEvent, Payload},
    kernel::{Actor, Instant, ids::EventId},
};

/// A customer asks for prices.
pub(super) const REQUESTED: &str = "quote.requested.v1";
/// A quote has taken a step: offered, asked again, accepted, ordered, or ended.
pub(super) const UPDATED: &str = "quote.updated.v1";

/// A quote as events tell of it; what people wrote is not told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ToldQuote)]
struct Told {
    #[serde(flatten)]
    quote: Quote,
}

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    [REQUESTED, UPDATED].into_iter().map(EventSchema::of::<Told>).collect()
}

/// Tells of a quote.
pub(super) fn tell(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    id: EventId,
    kind: &'static str,
    quote: &Quote,
) -> Result<()> {
    let silent = |round: &QuoteRound| QuoteRound { message: None, ..round.clone() };
    let rounds = quote.rounds.iter().map(silent).collect();
    let told = Told { quote: Quote { rounds, terms: None, ..quote.clone() } };
    let event = NewEvent {
        id,
        stream: quote.cart_id.to_string(),
        aggregate: "quote",
        aggregate_id: quote.id.to_string(),
        aggregate_version: quote.version,
        channel: Some(quote.channel_id),
        kind,
        occurred_at: now,
        payload: Payload::of(&told)?,
        subject: Some(quote.customer_id),
    };
    events::append(tx, actor, now, vec![event])
}

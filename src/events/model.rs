//! Events and their outward form.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::kernel::{
    Instant,
    ids::{ChannelId, CustomerId, EventId, LocationId},
};

/// An event about to be appended.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its id; made outside the transaction, so that a second run of the transaction gives the same.
    pub id: EventId,
    /// The key by which deliveries are ordered: the order's id, and before there is one the cart's.
    pub stream: String,
    /// The kind of thing it happened to: `order`, `cart`, `stock`.
    pub aggregate: &'static str,
    /// Which one.
    pub aggregate_id: String,
    /// The aggregate's version after it.
    pub aggregate_version: i64,
    /// The channel it belongs to, where it has one.
    pub channel: Option<ChannelId>,
    /// The type with its version: `order.placed.v1`.
    pub kind: &'static str,
    /// When it happened, which may be before it was recorded.
    pub occurred_at: Instant,
    /// The complete document.
    pub data: Value,
    /// Whom it is about, for erasure.
    pub subject: Option<CustomerId>,
    /// The personal part of the document, which erasure removes.
    pub personal: Option<Value>,
}

/// An event of the log.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Event {
    /// Its place in the log: rises with every event, without meaning in between.
    pub position: i64,
    /// Its id: a consumer that remembers it sees each event once.
    pub id: EventId,
    /// The key by which deliveries are ordered.
    pub stream: String,
    /// The kind of thing it happened to.
    pub aggregate: String,
    /// Which one.
    pub aggregate_id: String,
    /// The aggregate's version after it.
    pub aggregate_version: i64,
    /// The channel it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<ChannelId>,
    /// The type with its version.
    #[serde(rename = "type")]
    #[schema(example = "order.placed.v1")]
    pub kind: String,
    /// When it happened.
    pub occurred_at: Instant,
    /// When it was recorded.
    pub recorded_at: Instant,
    /// Who did it.
    pub actor: String,
    /// The complete document; personal fields are gone after an erasure.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// Which events a reader of the log gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Beginnings of types; empty is all types.
    pub types: Vec<String>,
    /// Only events of these channels, so none that belong to no channel; `None` is all.
    pub channels: Option<Vec<ChannelId>>,
    /// Channels whose events are left out: the test channels.
    pub left_out: HashSet<ChannelId>,
    /// Of events that tell of something at locations, only those that tell of one of these; `None` is all.
    pub locations: Option<Vec<LocationId>>,
}

impl Filter {
    /// Whether the reader gets an event.
    #[must_use]
    pub fn wants(&self, event: &Event) -> bool {
        let of_type = self.types.is_empty() || self.types.iter().any(|prefix| event.kind.starts_with(prefix.as_str()));
        let allowed = match (&self.channels, event.channel_id) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(channels), Some(channel)) => channels.contains(&channel),
        };
        of_type
            && allowed
            && self.is_near(event)
            && event.channel_id.is_none_or(|channel| !self.left_out.contains(&channel))
    }

    /// Whether the event names no location, or one of the reader's: of an order that several locations serve, each is told.
    fn is_near(&self, event: &Event) -> bool {
        let Some(locations) = &self.locations else { return true };
        let mut named = named_locations(&event.data).peekable();
        // A location that can not be read is nobody's.
        let own = |id: &str| id.parse().is_ok_and(|id: LocationId| locations.contains(&id));
        named.peek().is_none() || named.any(own)
    }
}

/// The locations that a document names: its own, and those of the parts that it lists.
fn named_locations(document: &Value) -> impl Iterator<Item = &str> {
    let members = document.as_object().into_iter().flat_map(|document| document.values());
    let parts = members.filter_map(Value::as_array).flatten();
    std::iter::once(document).chain(parts).filter_map(|part| part.get("location_id")?.as_str())
}

/// The event as a CloudEvents 1.0 envelope. `source` is the shop's public address.
#[must_use]
pub fn cloud_event(event: &Event, source: &str) -> Value {
    json!({
        "specversion": "1.0",
        "id": event.id,
        "source": source,
        "type": event.kind,
        "subject": event.aggregate_id,
        "time": event.occurred_at,
        "datacontenttype": "application/json",
        "sequence": format!("{:020}", event.position),
        "partitionkey": event.stream,
        "data": event.data,
    })
}

//! Events and their outward form.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    db::Json,
    error::Result,
    kernel::{
        Instant,
        ids::{ChannelId, CustomerId, EventId, LocationId},
    },
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
    /// What it says.
    pub payload: Payload,
    /// Whom it is about, for erasure.
    pub subject: Option<CustomerId>,
}

/// What an event says: a complete document, its personal part kept apart so that erasure can take it away. Readers see
/// the personal part laid over the rest.
#[derive(Debug, Clone)]
pub struct Payload {
    /// The document without its personal part.
    pub data: Json,
    /// The personal part: members of the same names at the same places.
    pub personal: Option<Json>,
}

impl Payload {
    /// A document in which nothing is personal.
    ///
    /// # Errors
    /// When it can not be written as JSON, which would be a defect.
    pub fn of(document: &(impl Serialize + ?Sized)) -> Result<Self> {
        Ok(Self { data: Json::of(document)?, personal: None })
    }

    /// A document and its personal part.
    ///
    /// # Errors
    /// When one of them can not be written as JSON, which would be a defect.
    pub fn with_personal(document: &impl Serialize, personal: &impl Serialize) -> Result<Self> {
        Ok(Self { data: Json::of(document)?, personal: Some(Json::of(personal)?) })
    }
}

/// Lays the personal part of a document over the rest: objects by name, arrays by place.
pub(super) fn lay_over(document: &mut Value, personal: Value) {
    match (document, personal) {
        (Value::Object(document), Value::Object(personal)) => {
            for (name, value) in personal {
                match document.get_mut(&name) {
                    Some(place) => lay_over(place, value),
                    None => drop(document.insert(name, value)),
                }
            }
        }
        (Value::Array(document), Value::Array(personal)) => {
            document.iter_mut().zip(personal).for_each(|(place, value)| lay_over(place, value));
        }
        (place, value) => *place = value,
    }
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

/// An event of a stream without what it says.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its place in the log; past all others while it has none.
    pub position: i64,
    /// Its type.
    pub kind: String,
    /// When it was recorded.
    pub recorded_at: Instant,
}

/// A stream, and what has happened in it.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Its key.
    pub name: String,
    /// The channel it belongs to.
    pub channel: ChannelId,
    /// Whether that is a test channel.
    pub test: bool,
    /// Its events.
    pub heads: Vec<Head>,
}

/// How far somebody who hears of a stream is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// Who.
    pub name: String,
    /// How many of its events have not reached them.
    pub events: i64,
    /// Since when the oldest of those has been waiting.
    pub since: Option<Instant>,
}

impl Stream {
    /// How far somebody is behind whom these events have not reached.
    pub fn behind(&self, name: String, missing: impl Fn(&Head) -> bool) -> Behind {
        let missing: Vec<Instant> =
            self.heads.iter().filter(|head| missing(head)).map(|head| head.recorded_at).collect();
        let events = i64::try_from(missing.len()).unwrap_or(i64::MAX);
        Behind { name, events, since: missing.into_iter().min() }
    }
}

/// Which events a reader of the log gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Beginnings of types; empty is all types.
    pub types: Vec<String>,
    /// Beginnings of types that are left out.
    pub without: Vec<&'static str>,
    /// Only events of these channels, so none that belong to no channel; `None` is all.
    pub channels: Option<Vec<ChannelId>>,
    /// Channels whose events are left out: the test channels.
    pub left_out: HashSet<ChannelId>,
    /// Of events that tell of something at locations, only those that tell of one of these; `None` is all.
    pub locations: Option<Vec<LocationId>>,
    /// Who has done what is left out.
    pub not_by: Option<String>,
}

impl Filter {
    /// Whether the reader gets an event.
    #[must_use]
    pub fn wants(&self, event: &Event) -> bool {
        let of_type = self.types.is_empty() || self.types.iter().any(|prefix| event.kind.starts_with(prefix.as_str()));
        let withheld = self.without.iter().any(|prefix| event.kind.starts_with(prefix));
        let own = self.not_by.as_ref().is_some_and(|actor| *actor == event.actor);
        of_type && !withheld && !own && self.admits(event.channel_id) && self.is_near(event)
    }

    /// Whether the reader gets anything of a channel, or of none.
    #[must_use]
    pub fn admits(&self, channel: Option<ChannelId>) -> bool {
        let allowed = match (&self.channels, channel) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(channels), Some(channel)) => channels.contains(&channel),
        };
        allowed && channel.is_none_or(|channel| !self.left_out.contains(&channel))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_personal_part_is_seen_at_its_places() {
        let mut document =
            json!({"number": "1001", "email": null, "deliveries": [{"method": "dhl", "address": null}, {}]});
        let personal = json!({"email": "ada@example.org", "deliveries": [{"address": {"name": "Ada"}}], "phone": "1"});
        lay_over(&mut document, personal);
        let whole = json!({"number": "1001", "email": "ada@example.org", "phone": "1",
            "deliveries": [{"method": "dhl", "address": {"name": "Ada"}}, {}]});
        assert_eq!(document, whole);
    }
}

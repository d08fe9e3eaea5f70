//! What adapters can do: one small trait per capability. An adapter says which it has; the others are unsupported.

use std::{future::Future, pin::Pin};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{mapping::Mapping, network::Network, wire::Stop};
use crate::{
    error::Result,
    events::Event,
    kernel::{Instant, Money},
};

/// The future of a push.
pub type Pushing<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// Takes events of orders and all that belongs to them, stock and carts, one at a time.
pub trait OrderSink: Send + Sync {
    /// Brings one event to the other system. May be called again for the same event; never in parallel for one stream.
    fn push<'a>(&'a self, delivery: Delivery<'a>) -> Pushing<'a>;

    /// The requests that [`OrderSink::push`] would make, without making one.
    ///
    /// # Errors
    /// Why the event can not be told as it is.
    fn plan(&self, delivery: Delivery<'_>) -> Result<Vec<Planned>>;
}

/// Takes events of customers and companies, one at a time: a CRM's side.
pub trait CustomerSink: Send + Sync {
    /// Brings one event to the other system, under the same promises as [`OrderSink::push`].
    fn push_customer<'a>(&'a self, delivery: Delivery<'a>) -> Pushing<'a>;

    /// The requests that [`CustomerSink::push_customer`] would make, without making one.
    ///
    /// # Errors
    /// Why the event can not be told as it is.
    fn plan_customer(&self, delivery: Delivery<'_>) -> Result<Vec<Planned>>;
}

/// Reads what changes at the far end.
pub trait ChangeSource: Send + Sync {
    /// What has changed behind a cursor; `null` is the beginning: now. What is told twice does no harm, what is left out is lost.
    fn pull<'a>(&'a self, to: Target<'a>, cursor: &'a Value) -> Pulling<'a>;
}

/// Looks for orders at the far end, without changing anything there.
pub trait OrderSearch: Send + Sync {
    /// What the far end has of these orders; those that it does not have are left out. There are at most [`AT_ONCE`] of them.
    fn find<'a>(&'a self, to: Target<'a>, orders: &'a [Sought]) -> Finding<'a>;

    /// A page of what was made there between two instants, by the far end's clock, and bears a key of an order of ours. `null` is
    /// where the first page begins.
    fn list<'a>(&'a self, to: Target<'a>, made: (Instant, Instant), cursor: &'a Value) -> Listing<'a>;

    /// Which of an order's events, by their positions, bring it there anew when they are sent in their order. `events` are those
    /// that the connector gets, in their order.
    fn needed(&self, events: &[Event]) -> Vec<i64>;
}

/// How many orders are looked for at once.
pub const AT_ONCE: usize = 50;

/// An order that is looked for.
#[derive(Debug, Clone)]
pub struct Sought {
    /// Its id here.
    pub id: String,
    /// What the far end was known to call it.
    pub links: Vec<Link>,
}

/// What the far end has of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The order's id here.
    pub order: String,
    /// What it is called there; several where somebody has to look which it is.
    pub links: Vec<Link>,
    /// What it comes to there, tax included, where that can be read.
    pub total: Option<Money>,
    /// Whether it is not wanted there any more.
    pub cancelled: bool,
    /// Its state, in the far end's own word.
    pub state: String,
}

impl Found {
    /// What people call it there.
    #[must_use]
    pub fn reference(&self) -> &str {
        let first = self.links.first();
        first.map_or("", |link| link.number.as_deref().unwrap_or(&link.value))
    }
}

/// A page of what the far end has.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// What it has.
    pub orders: Vec<Found>,
    /// Where the next page begins; `None` after the last.
    pub cursor: Option<Value>,
}

/// The future of a search.
pub type Finding<'a> = Pin<Box<dyn Future<Output = Result<Vec<Found>, Stop>> + Send + 'a>>;

/// The future of a page of what the far end has.
pub type Listing<'a> = Pin<Box<dyn Future<Output = Result<Listed, Stop>> + Send + 'a>>;

/// The future of a pull.
pub type Pulling<'a> = Pin<Box<dyn Future<Output = Result<Pulled, Stop>> + Send + 'a>>;

/// What a pull has read.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// What has changed, in its order.
    pub changes: Vec<Change>,
    /// Where the next pull begins.
    pub cursor: Value,
    /// Whether there is more to be had at once.
    pub more: bool,
}

/// Something that has changed at the far end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Change {
    /// What it is about.
    pub about: About,
    /// The far end's own name of it, under which it is booked once.
    pub name: String,
    /// What has changed.
    pub what: What,
}

/// A document at the far end, as links name it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct About {
    /// What it is there.
    pub kind: String,
    /// What it is called there.
    pub value: String,
}

/// What can change at a far end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum What {
    /// Goods have left: so many of each SKU of ours.
    Left {
        /// What.
        lines: Vec<(String, i64)>,
        /// Who carries it.
        carrier: Option<String>,
        /// What the carrier calls it.
        tracking_number: Option<String>,
        /// When; now unless told.
        at: Option<Instant>,
    },
    /// It was invoiced.
    Invoiced {
        /// The invoice's total, tax included.
        amount: Money,
        /// When; now unless told.
        at: Option<Instant>,
    },
    /// Something that can not be booked as it is: somebody has to look.
    Unclear {
        /// Why.
        reason: String,
    },
}

/// The future of a test.
pub type Testing<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// What types of events of customers begin with, and of the companies that they buy for.
pub const CUSTOMERS: &[&str] = &["back_in_stock.", "company.", "customer."];

/// Whether an event of this type tells of customers or companies.
#[must_use]
pub fn is_of_customers(kind: &str) -> bool {
    CUSTOMERS.iter().any(|beginning| kind.starts_with(beginning))
}

/// One event on its way.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// The event.
    pub event: &'a Event,
    /// What the far end calls what the event is about, as far as it is known.
    pub links: &'a [Link],
    /// The rest.
    pub to: Target<'a>,
}

/// The far end of a connector, and the way there.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The connector's name.
    pub name: &'a str,
    /// The shop's public address.
    pub source: &'a str,
    /// The connector's settings, which have passed [`Adapter::check`].
    pub settings: &'a Value,
    /// Its secrets, opened.
    pub secrets: &'a Value,
    /// How it writes the far end's documents; the adapter's own unless the connector has another.
    pub mapping: &'a Mapping,
    /// The way out.
    pub network: &'a Network,
    /// Whether private addresses may be reached.
    pub allow_private: bool,
    /// The time.
    pub now: Instant,
}

/// How a push ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It arrived, or there was nothing to tell the far end.
    Delivered,
    /// It did not; another try makes sense, after so many seconds if the far end has said so.
    Failed {
        /// `Retry-After`.
        after_seconds: Option<i64>,
        /// Whether the far end as a whole is not to be had: it counts towards the connector's breaker.
        outage: bool,
    },
    /// It never will as it is: somebody has to mend something.
    Refused,
    /// The far end asks all of the connector's events for patience.
    Throttled {
        /// For so many seconds.
        after_seconds: i64,
    },
    /// The far end wants no more events: the connector is paused.
    Gone,
}

/// What the far end calls one of our objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The kind of our object: `order`, `customer`, `variant`, `shipment`, `return`, …
    #[schema(example = "order")]
    pub object: String,
    /// Its id here.
    pub object_id: String,
    /// What it is there.
    #[schema(example = "sale")]
    pub kind: String,
    /// What it is called there: unique for its kind.
    #[schema(example = "4711")]
    pub value: String,
    /// What people call it there, where that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Whether there may be another one: several were found that could be it. Somebody looks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubtful: bool,
}

/// What is known of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// The far end's status, when it answered.
    pub status: Option<i64>,
    /// How long it took.
    pub duration_ms: i64,
    /// The SHA-256 of what was sent last, in hex.
    pub sent_sha256: String,
    /// What was sent last, as far as it is worth keeping when it failed.
    pub sent: Option<String>,
    /// The beginning of the answer.
    pub response: Option<String>,
    /// What went wrong, in words an operator can act on.
    pub error: Option<String>,
    /// What was learnt of what the far end calls what.
    pub links: Vec<Link>,
}

impl Outcome {
    /// A push that could not even be begun; another try makes sense.
    #[must_use]
    pub fn failed(error: impl ToString) -> Self {
        let ending = Ending::Failed { after_seconds: None, outage: false };
        Self { error: Some(error.to_string()), ..Self::ended(ending) }
    }

    /// A push that ended so, of which nothing else is known.
    #[must_use]
    pub fn ended(ending: Ending) -> Self {
        let (status, duration_ms, sent_sha256) = (None, 0, String::new());
        Self { ending, status, duration_ms, sent_sha256, sent: None, response: None, error: None, links: Vec::new() }
    }
}

/// A request that a push would make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Planned {
    /// What for.
    #[schema(example = "create the sale")]
    pub purpose: String,
    /// The method of the request, or of the far end's own protocol.
    #[schema(example = "POST")]
    pub method: String,
    /// Where to.
    pub target: String,
    /// What would be sent. Where it depends on what the far end answers first, that is told in `{braces}`.
    #[schema(value_type = Object)]
    pub body: Value,
}

/// Code for a kind of system.
pub struct Adapter {
    /// Its name in the API.
    pub name: &'static str,
    /// What it connects to.
    pub title: &'static str,
    /// What an operator needs to know.
    pub description: &'static str,
    /// The JSON schema of its settings.
    pub settings_schema: fn() -> Value,
    /// The JSON schema of its secrets.
    pub secrets_schema: fn() -> Value,
    /// Checks settings; errors carry pointers below `/settings`.
    pub check: fn(settings: &Value, allow_private: bool) -> Result<()>,
    /// Checks the secrets given and makes those that are missing; errors carry pointers below `/secrets`.
    pub complete_secrets: fn(given: Option<&Value>) -> Result<Value>,
    /// Replaces the secrets by fresh ones that keep working with the old ones for a while; `None`: it has none to renew.
    pub renew_secrets: Option<fn(now: Instant, old: &Value) -> Result<Value>>,
    /// Whether it tells what the far end calls what, and needs to know it.
    pub keeps_links: bool,
    /// How the far end's documents are written unless a connector says otherwise; empty where there is nothing to say.
    pub mapping: fn() -> Mapping,
    /// Does a harmless call and explains what failed. `ping` is an event that nothing follows from.
    pub test: for<'a> fn(Target<'a>, ping: &'a Event) -> Testing<'a>,
    /// Takes all events but those of customers; `None`: unsupported.
    pub order_sink: Option<&'static dyn OrderSink>,
    /// Takes events of customers; `None`: unsupported.
    pub customer_sink: Option<&'static dyn CustomerSink>,
    /// Reads what changes at the far end; `None`: unsupported.
    pub change_source: Option<&'static dyn ChangeSource>,
    /// Looks for orders at the far end; `None`: it can not be searched.
    pub order_search: Option<&'static dyn OrderSearch>,
}

impl Adapter {
    /// Brings an event to the other system by the port that takes its type; `None` where the adapter has none.
    #[must_use]
    pub fn push<'a>(&self, delivery: Delivery<'a>) -> Option<Pushing<'a>> {
        match is_of_customers(&delivery.event.kind) {
            true => self.customer_sink.map(|sink| sink.push_customer(delivery)),
            false => self.order_sink.map(|sink| sink.push(delivery)),
        }
    }

    /// The requests that a push of an event would make; `None` where the adapter takes none of its kind.
    #[must_use]
    pub fn plan(&self, delivery: Delivery<'_>) -> Option<Result<Vec<Planned>>> {
        match is_of_customers(&delivery.event.kind) {
            true => self.customer_sink.map(|sink| sink.plan_customer(delivery)),
            false => self.order_sink.map(|sink| sink.plan(delivery)),
        }
    }
}

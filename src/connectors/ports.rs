//! What adapters can do: one small trait per capability. An adapter says which it has; the others are unsupported.

use std::{future::Future, pin::Pin};

use serde_json::Value;

use super::network::Network;
use crate::{error::Result, events::Event, kernel::Instant};

/// The future of a push.
pub type Pushing<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// Takes events of orders and all that belongs to them, stock and carts, one at a time.
pub trait OrderSink: Send + Sync {
    /// Brings one event to the other system. May be called again for the same event; never in parallel for one stream.
    fn push<'a>(&'a self, delivery: Delivery<'a>) -> Pushing<'a>;
}

/// Takes events of customers and companies, one at a time: a CRM's side.
pub trait CustomerSink: Send + Sync {
    /// Brings one event to the other system, under the same promises as [`OrderSink::push`].
    fn push_customer<'a>(&'a self, delivery: Delivery<'a>) -> Pushing<'a>;
}

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
    /// The shop's public address.
    pub source: &'a str,
    /// The connector's settings, which have passed [`Adapter::check`].
    pub settings: &'a Value,
    /// Its secrets, opened.
    pub secrets: &'a Value,
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
    /// It arrived.
    Delivered,
    /// It did not; another try makes sense, after so many seconds if the far end has said so.
    Failed {
        /// `Retry-After`.
        after_seconds: Option<i64>,
    },
    /// The far end wants no more events: the connector is paused.
    Gone,
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
    /// The SHA-256 of what was sent, in hex.
    pub sent_sha256: String,
    /// The beginning of the answer.
    pub response: Option<String>,
    /// What went wrong, in words an operator can act on.
    pub error: Option<String>,
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
    /// Takes all events but those of customers; `None`: unsupported.
    pub order_sink: Option<&'static dyn OrderSink>,
    /// Takes events of customers; `None`: unsupported.
    pub customer_sink: Option<&'static dyn CustomerSink>,
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
}

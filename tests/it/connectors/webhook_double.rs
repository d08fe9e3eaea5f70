//! A receiver of webhooks that remembers `webhook-id`, as the documentation tells receivers to.

use std::{collections::HashSet, sync::Mutex};

use serde_json::{Value, json};

use super::conformance::{Double, Held};
use crate::support::Received;

/// What it has taken.
#[derive(Default, Clone)]
struct Taken {
    ids: HashSet<String>,
    orders: Vec<Held>,
}

/// The double.
#[derive(Default)]
pub struct Webhook(Mutex<Taken>, Mutex<Taken>);

const WORD: &str = "Bearer gateway-s3cret";

impl Webhook {
    pub fn new() -> Self {
        Self::default()
    }
}

/// An order as an event tells of it.
fn told(order: &Value) -> Option<Held> {
    let pieces = |line: &Value| line["quantity"].as_i64().unwrap() - line["cancelled"].as_i64().unwrap_or_default();
    Some(Held {
        order: order["number"].as_str()?.to_owned(),
        cancelled: order["state"] == "cancelled",
        pieces: order["lines"].as_array()?.iter().map(pieces).sum(),
    })
}

impl Double for Webhook {
    fn adapter(&self) -> &'static str {
        "webhook"
    }

    fn settings(&self, url: &str) -> Value {
        json!({"url": format!("{url}/hook")})
    }

    fn secrets(&self) -> Value {
        json!({"authorization": WORD})
    }

    fn secret_words(&self) -> Vec<String> {
        vec!["gateway-s3cret".to_owned()]
    }

    fn answer(&self, request: &Received) -> (u16, String) {
        if request.header("authorization") != WORD {
            return (401, String::new());
        }
        let mut taken = self.0.lock().unwrap();
        let known = !taken.ids.insert(request.header("webhook-id").to_owned());
        if let (false, Some(held)) = (known, told(&request.json()["data"])) {
            match taken.orders.iter_mut().find(|other| other.order == held.order) {
                Some(other) => *other = held,
                None => taken.orders.push(held),
            }
        }
        (200, "taken".into())
    }

    fn refuse(&self) -> (u16, String) {
        (422, String::new())
    }

    fn holds(&self) -> Vec<Held> {
        self.0.lock().unwrap().orders.clone()
    }

    fn is_final(&self) -> bool {
        false
    }

    fn back_up(&self) {
        *self.1.lock().unwrap() = self.0.lock().unwrap().clone();
    }

    fn go_back(&self) {
        *self.0.lock().unwrap() = self.1.lock().unwrap().clone();
    }

    fn is_searchable(&self) -> bool {
        false
    }
}

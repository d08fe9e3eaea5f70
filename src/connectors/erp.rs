//! What adapters for business systems have in common: what an event asks for, what the expressions of their mappings know, marks
//! that stand for a record of theirs, sums that have to come to the same, and how far their records have been read. Pure.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ports::Sought, wire::Stop};
use crate::{
    events::Event,
    kernel::{Instant, Money, ids::OrderId},
};

/// What an event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Nothing that the far end has to know.
    Nothing,
    /// The sale has to be there, and go on as far as it may.
    Sale,
    /// The sale has to be there, as the order is now.
    Changed,
    /// The sale is not wanted any more.
    Cancelled,
    /// The party has to be there, as the customer is now.
    Party,
    /// Nothing may be known of the party any more.
    Erased,
}

/// What an event asks for.
#[must_use]
pub fn task(event: &Event) -> Task {
    let word = event.kind.rsplit_once(".v").map_or(event.kind.as_str(), |(word, _)| word);
    let is_cancelled = event.data.get("state").and_then(Value::as_str) == Some("cancelled");
    match word {
        "order.placed"
        | "order.amended"
        | "order.line_cancelled"
        | "order.split"
        | "order.delivery_changed"
        | "order.released"
        | "order.cancelled"
            if is_cancelled =>
        {
            Task::Cancelled
        }
        "order.placed" | "order.released" => Task::Sale,
        "order.amended" | "order.line_cancelled" | "order.split" | "order.delivery_changed" | "order.cancelled" => {
            Task::Changed
        }
        "customer.created" | "customer.updated" | "customer.linked" => Task::Party,
        // Of an order, the party that its guest became.
        "customer.erased" | "order.erased" => Task::Erased,
        _ => Task::Nothing,
    }
}

/// Which of an order's events bring it there anew: a sale is made of one document, so the last that tells what it is to be. Earlier
/// ones would be refused once it is under way.
#[must_use]
pub fn needed(events: &[Event]) -> Vec<i64> {
    let tells = |event: &&Event| matches!(task(event), Task::Sale | Task::Changed | Task::Cancelled);
    events.iter().rfind(tells).map(|event| event.position).into_iter().collect()
}

/// A member of a document; null where there is none.
#[must_use]
pub fn member<'a>(document: &'a Value, name: &str) -> &'a Value {
    document.get(name).unwrap_or(&Value::Null)
}

/// A text of a document's member.
#[must_use]
pub fn word<'a>(document: &'a Value, name: &str) -> &'a str {
    member(document, name).as_str().unwrap_or_default()
}

/// Whether what stands for an order at the far end bears the key of another order of ours: a system that went back to a backup gives
/// the numbers of what it has lost to others.
#[must_use]
pub fn is_anothers(key: &str, order: &str) -> bool {
    key != order && key.parse::<OrderId>().is_ok()
}

/// The records that orders are linked to, by their numbers there, those left out that may be others.
#[must_use]
pub fn linked<'a>(orders: impl Iterator<Item = &'a Sought>, kind: &str) -> BTreeMap<i64, &'a str> {
    let links = orders.flat_map(|order| order.links.iter().map(|link| (link, order.id.as_str())));
    let own = links.filter(|(link, id)| link.kind == kind && link.object_id == *id && !link.doubtful);
    own.filter_map(|(link, id)| Some((link.value.parse().ok()?, id))).collect()
}

/// The ids that a field of several records holds.
#[must_use]
pub fn ids(document: &Value, name: &str) -> Vec<i64> {
    member(document, name).as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
}

/// An object, or one without members where there is none: so that an expression can ask for its members.
fn object(document: &Value) -> Value {
    if document.is_object() { document.clone() } else { json!({}) }
}

/// What the expressions of a mapping know of an order.
#[must_use]
pub fn of_order(order: &Value, settings: &Value) -> Value {
    let first = member(order, "deliveries").get(0).map_or(&Value::Null, |delivery| member(delivery, "address"));
    let billing = member(order, "billing_address");
    let (bill, ship) =
        (if billing.is_object() { billing } else { first }, if first.is_object() { first } else { billing });
    let shipping = match member(order, "shipping") {
        Value::Null => json!([]),
        one => json!([one]),
    };
    json!({
        "order": with_open(order), "customer": {}, "bill": object(bill), "ship": object(ship), "shipping": shipping,
        "email": member(order, "email"), "phone": member(bill, "phone"), "settings": settings,
    })
}

/// An order of whose lines each tells how many pieces are still wanted (`open`): what is zero is left out of a line.
fn with_open(order: &Value) -> Value {
    let mut order = order.clone();
    for line in order.get_mut("lines").and_then(Value::as_array_mut).into_iter().flatten() {
        let count = |name: &str| member(line, name).as_i64().unwrap_or_default();
        let open = count("quantity") - count("cancelled");
        if let Some(line) = line.as_object_mut() {
            line.insert("open".into(), json!(open));
        }
    }
    order
}

/// What the expressions of a mapping know of a customer.
#[must_use]
pub fn of_customer(customer: &Value, settings: &Value) -> Value {
    let address = member(customer, "addresses").get(0).map(|kept| kept.get("address").unwrap_or(kept));
    json!({
        "order": {}, "customer": object(customer), "bill": object(address.unwrap_or(&Value::Null)), "ship": {}, "shipping": [],
        "email": member(customer, "email"), "phone": member(customer, "phone"), "settings": settings,
    })
}

/// The same with an address.
#[must_use]
pub fn with_address(mut known: Value, address: &Value) -> Value {
    if let Some(known) = known.as_object_mut() {
        known.insert("address".into(), address.clone());
    }
    known
}

/// What an order costs, where nothing of it is cancelled: then the far end has to come to the same.
#[must_use]
pub fn total(order: &Value) -> Option<Decimal> {
    let lines = member(order, "lines").as_array()?;
    let untouched = lines.iter().all(|line| member(line, "cancelled").as_i64().unwrap_or_default() == 0);
    let total: Money = serde_json::from_value(member(order, "total").clone()).ok()?;
    untouched.then(|| total.decimal())
}

/// Whether an order is held back from being shipped.
#[must_use]
pub fn is_held(order: &Value) -> bool {
    let blocks_shipping = |hold: &Value| {
        let blocks = member(hold, "blocks").as_array().map(Vec::as_slice).unwrap_or_default();
        blocks.iter().any(|command| command.as_str() == Some("ship"))
    };
    member(order, "holds").as_array().is_some_and(|holds| holds.iter().any(blocks_shipping))
}

/// What the difference between the sums of both sides means; `system` is what people call the far end.
///
/// # Errors
/// `total_mismatch`, when it is more than rounding.
pub fn judge_total(system: &str, ours: Decimal, theirs: Decimal, tolerance: Decimal) -> Result<Decimal, Stop> {
    let difference = ours - theirs;
    if difference.abs() > tolerance {
        let error = format!(
            "total_mismatch: the order costs {ours}, {system} comes to {theirs}: look at the taxes and prices of its products, or \
             raise `tolerance`"
        );
        return Err(Stop::refused(error));
    }
    Ok(difference)
}

/// A number of whole pieces, as systems write it that count in parts of pieces.
#[must_use]
pub fn whole(number: &Value) -> Option<i64> {
    let text = number.to_string();
    let (pieces, rest) = text.split_once('.').unwrap_or((&text, ""));
    rest.chars().all(|c| c == '0').then(|| pieces.parse().ok()).flatten()
}

/// What is looked for at the far end to stand in a document: the mark `{"@find": "product.product", "where": [["code", "=", "TEE-M"]]}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Find {
    /// The model.
    pub model: String,
    /// The domain, in the far end's way of writing.
    pub domain: Value,
}

impl Find {
    /// The mark that a value is, if it is one; `written` gives the far end's way of writing.
    #[must_use]
    pub fn of(value: &Value, written: fn(&Value) -> Value) -> Option<Self> {
        let model = value.get("@find")?.as_str()?.to_owned();
        Some(Self { model, domain: written(member(value, "where")) })
    }

    /// What it stands under among those that have been found.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", self.model, self.domain)
    }
}

/// All that is to be looked for in a document, each once.
#[must_use]
pub fn finds(document: &Value, written: fn(&Value) -> Value) -> Vec<Find> {
    let mut found: Vec<Find> = Vec::new();
    collect(document, written, &mut found);
    found
}

fn collect(document: &Value, written: fn(&Value) -> Value, found: &mut Vec<Find>) {
    if let Some(find) = Find::of(document, written) {
        if !found.contains(&find) {
            found.push(find);
        }
        return;
    }
    match document {
        Value::Array(items) => items.iter().for_each(|item| collect(item, written, found)),
        Value::Object(members) => members.values().for_each(|member| collect(member, written, found)),
        _ => {}
    }
}

/// How many seconds a pull looks back behind where the last one stopped: a transaction of the far end that lasts is seen late.
const OVERLAP_SECONDS: i64 = 300;
/// How many names of what was read are remembered, so that the overlap is not told again and again.
const REMEMBERED: usize = 5000;
/// How many records are read at once.
pub const PAGE: usize = 500;

/// How far records of a model have been read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Place {
    /// The last change that was read, by the far end's clock.
    pub at: Option<Instant>,
    /// The ids of what was read at the end of it, so that the overlap is not told again and again.
    #[serde(default)]
    pub seen: Vec<i64>,
}

impl Place {
    /// From when on records are asked for; `begin` is where the first pull began.
    #[must_use]
    pub fn from(&self, begin: Instant) -> Instant {
        self.at.unwrap_or(begin).plus_seconds(-OVERLAP_SECONDS)
    }

    /// Notes what a page told. True where there may be more.
    pub fn note(&mut self, found: &[Value], changed_at: impl Fn(&Value) -> Option<Instant>) -> bool {
        self.at = found.iter().filter_map(changed_at).chain(self.at).max();
        self.seen.extend(found.iter().filter_map(|record| record.get("id")?.as_i64()));
        let surplus = self.seen.len().saturating_sub(REMEMBERED);
        self.seen.drain(..surplus);
        found.len() >= PAGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Clock, Id};

    #[test]
    fn each_event_asks_for_what_it_means_to_a_sale() {
        let now = Clock::system().now();
        let event = |kind: &str, state: &str| Event {
            position: 7,
            id: Id::new(),
            stream: "order_1".into(),
            aggregate: "order".into(),
            aggregate_id: "order_1".into(),
            aggregate_version: 2,
            channel_id: None,
            kind: kind.into(),
            occurred_at: now,
            recorded_at: now,
            actor: "guest".into(),
            data: json!({"state": state}),
        };
        for (kind, state, wanted) in [
            ("order.placed.v1", "placed", Task::Sale),
            ("order.cancelled.v1", "cancelled", Task::Cancelled),
            ("order.cancelled.v1", "placed", Task::Changed),
            ("order.line_cancelled.v1", "placed", Task::Changed),
            ("order.tagged.v1", "placed", Task::Nothing),
            ("shipment.shipped.v1", "shipped", Task::Nothing),
            ("customer.updated.v1", "", Task::Party),
            ("customer.erased.v1", "", Task::Erased),
        ] {
            assert_eq!(task(&event(kind, state)), wanted, "{kind} {state}");
        }
    }

    #[test]
    fn totals_that_differ_by_more_than_rounding_are_refused() {
        let number = |text: &str| text.parse::<Decimal>().unwrap();
        let judged = |ours: &str, theirs: &str| judge_total("It", number(ours), number(theirs), number("0.05")).ok();
        assert_eq!(judged("10.00", "10.00"), Some(number("0")));
        assert_eq!(judged("10.00", "9.98"), Some(number("0.02")));
        assert_eq!(judged("10.00", "9.90"), None);
        let line = |cancelled: i64| json!({"total": {"amount": "5.00", "currency": "EUR"}, "lines": [{"cancelled": cancelled}]});
        assert_eq!((total(&line(0)), total(&line(1))), (Some(number("5.00")), None));
    }

    #[test]
    fn pieces_are_whole_and_what_was_read_is_remembered() {
        assert_eq!([json!(2.0), json!(3), json!(2.5)].map(|number| whole(&number)), [Some(2), Some(3), None]);
        let now = Clock::system().now();
        let mut place = Place::default();
        assert_eq!(place.from(now), now.plus_seconds(-300));
        assert!(!place.note(&[json!({"id": 4}), json!({"id": 9})], |_| Some(now)));
        assert_eq!((place.at, place.seen.as_slice()), (Some(now), [4, 9].as_slice()));
    }
}

//! From an event to what Tryton is told, and from our documents to its way of writing them. Pure.
//!
//! Beside plain values a document of the mapping has three marks: `{"@decimal": "19.99"}`, `{"@date": "2026-03-02"}`, and
//! `{"@find": "product.product", "where": [["code", "=", "TEE-M"]]}`, which stands for the one record that is found.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::{connectors::wire::Stop, events::Event, kernel::Money};

/// What an event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Nothing that Tryton has to know.
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
pub(super) fn task(event: &Event) -> Task {
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

/// A member of a document; null where there is none.
pub(super) fn member<'a>(document: &'a Value, name: &str) -> &'a Value {
    document.get(name).unwrap_or(&Value::Null)
}

/// An object, or one without members where there is none: so that an expression can ask for its members.
fn object(document: &Value) -> Value {
    if document.is_object() { document.clone() } else { json!({}) }
}

/// What the expressions of the mapping know of an order.
pub(super) fn of_order(order: &Value, settings: &Value) -> Value {
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

/// What the expressions of the mapping know of a customer.
pub(super) fn of_customer(customer: &Value, settings: &Value) -> Value {
    let address = member(customer, "addresses").get(0).map(|kept| kept.get("address").unwrap_or(kept));
    json!({
        "order": {}, "customer": object(customer), "bill": object(address.unwrap_or(&Value::Null)), "ship": {}, "shipping": [],
        "email": member(customer, "email"), "phone": member(customer, "phone"), "settings": settings,
    })
}

/// The same with an address.
pub(super) fn with_address(mut known: Value, address: &Value) -> Value {
    if let Some(known) = known.as_object_mut() {
        known.insert("address".into(), address.clone());
    }
    known
}

/// What is looked for at the far end to stand in a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Find {
    /// The model.
    pub model: String,
    /// The domain, in Tryton's way of writing.
    pub domain: Value,
}

impl Find {
    /// Whether a value is such a mark.
    fn of(value: &Value) -> Option<Self> {
        let model = value.get("@find")?.as_str()?.to_owned();
        Some(Self { model, domain: written(member(value, "where"), &|_| None) })
    }

    /// What it stands under among those that have been found.
    pub(super) fn key(&self) -> String {
        format!("{} {}", self.model, self.domain)
    }
}

/// All that is to be looked for in a document, each once.
pub(super) fn finds(document: &Value) -> Vec<Find> {
    let mut found: Vec<Find> = Vec::new();
    collect(document, &mut found);
    found
}

fn collect(document: &Value, found: &mut Vec<Find>) {
    if let Some(find) = Find::of(document) {
        if !found.contains(&find) {
            found.push(find);
        }
        return;
    }
    match document {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => members.values().for_each(|member| collect(member, found)),
        _ => {}
    }
}

/// A document in Tryton's way of writing: marks become values, lists of documents become records to be made, lists of ids
/// records to be added.
pub(super) fn written(document: &Value, id_of: &dyn Fn(&Find) -> Option<i64>) -> Value {
    if let Some(find) = Find::of(document) {
        return id_of(&find).map_or_else(|| json!({"{id}": find.key()}), Value::from);
    }
    match document {
        Value::Array(items) => Value::Array(items.iter().map(|item| written(item, id_of)).collect()),
        Value::Object(members) => match (members.get("@decimal"), members.get("@date")) {
            (Some(number), _) => json!({"__class__": "Decimal", "decimal": text(number)}),
            (_, Some(day)) => date(&text(day)),
            _ => Value::Object(members.iter().map(|(name, member)| (name.clone(), field(member, id_of))).collect()),
        },
        _ => document.clone(),
    }
}

/// A member of a record: a list of documents or of ids stands for what is done with the records behind it.
fn field(member: &Value, id_of: &dyn Fn(&Find) -> Option<i64>) -> Value {
    let Value::Array(items) = member else { return written(member, id_of) };
    let of_ids = items.iter().any(|item| item.get("@find").is_some() || item.is_i64());
    let items: Vec<Value> = items.iter().map(|item| written(item, id_of)).collect();
    match (items.is_empty(), of_ids) {
        (true, _) => json!([]),
        (false, true) => json!([["add", items]]),
        (false, false) => json!([["create", items]]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn date(day: &str) -> Value {
    let mut parts = day.split('-').map(|part| part.parse::<i64>().unwrap_or_default());
    let mut next = || parts.next().unwrap_or_default();
    json!({"__class__": "date", "year": next(), "month": next(), "day": next()})
}

/// A decimal number of Tryton's.
pub(super) fn decimal(value: &Value) -> Option<Decimal> {
    value.get("decimal")?.as_str()?.parse().ok()
}

/// What an order costs, where nothing of it is cancelled: then Tryton has to come to the same.
pub(super) fn total(order: &Value) -> Option<Decimal> {
    let lines = member(order, "lines").as_array()?;
    let untouched = lines.iter().all(|line| member(line, "cancelled").as_i64().unwrap_or_default() == 0);
    let total: Money = serde_json::from_value(member(order, "total").clone()).ok()?;
    untouched.then(|| total.decimal())
}

/// Whether an order is held back from being shipped.
pub(super) fn is_held(order: &Value) -> bool {
    let blocks_shipping = |hold: &Value| {
        let blocks = member(hold, "blocks").as_array().map(Vec::as_slice).unwrap_or_default();
        blocks.iter().any(|command| command.as_str() == Some("ship"))
    };
    member(order, "holds").as_array().is_some_and(|holds| holds.iter().any(blocks_shipping))
}

/// What the difference between the sums of both sides means.
pub(super) fn judge_total(ours: Decimal, theirs: Decimal, tolerance: Decimal) -> Result<Decimal, Stop> {
    let difference = ours - theirs;
    if difference.abs() > tolerance {
        let error = format!(
            "total_mismatch: the order costs {ours}, Tryton comes to {theirs}: look at the taxes and prices of its products, or raise \
             `tolerance`"
        );
        return Err(Stop::refused(error));
    }
    Ok(difference)
}

/// A text of a document's member.
pub(super) fn word<'a>(document: &'a Value, name: &str) -> &'a str {
    member(document, name).as_str().unwrap_or_default()
}

/// The ids that a field of several records holds.
pub(super) fn ids(document: &Value, name: &str) -> Vec<i64> {
    member(document, name).as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
}

/// Whether an address is there already: what Tryton has of it is the same.
pub(super) fn is_same_address(theirs: &Value, ours: &Map<String, Value>) -> bool {
    ["street", "postal_code", "city", "country", "party_name"].iter().all(|name| {
        let (theirs, ours) = (member(theirs, name), ours.get(*name).unwrap_or(&Value::Null));
        theirs == ours || is_blank(theirs) && is_blank(ours)
    })
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connectors::{mapping::Mapping, tryton},
        kernel::{Clock, Id},
    };

    fn order() -> Value {
        let money = |amount: &str| json!({"amount": amount, "currency": "EUR"});
        let address = json!({"name": "Ada", "street1": "Linden 1", "street2": null, "postcode": "10117", "city": "Berlin", "country": "DE"});
        json!({
            "id": "order_1", "number": "1001", "currency": "EUR", "state": "placed", "email": "ada@example.org",
            "purchase_order": null, "placed_at": "2026-03-02T09:00:00.000000Z", "total": money("53.53"), "holds": [],
            "billing_address": null, "deliveries": [{"address": address}], "customer_id": null,
            "shipping": {"name": "Parcel", "net": money("5.00"), "gross": money("5.95"), "tax_rate": "0.19"},
            "lines": [
                {"sku": "TEE-M", "name": "Tee", "quantity": 3, "cancelled": 1, "net": money("59.97"), "tax_rate": "0.19"},
                {"sku": "GONE", "name": "Gone", "quantity": 1, "cancelled": 1, "net": money("1.00"), "tax_rate": "0"}]
        })
    }

    #[test]
    fn a_sale_is_written_of_what_is_left_of_an_order() {
        let mapping: Mapping = (tryton::ADAPTER.mapping)();
        mapping.check().unwrap();
        let known = of_order(&order(), &json!({"payment_term": "Net 30 days"}));
        let sale = mapping.write("sale", &known).unwrap();
        let wanted = finds(&sale);
        assert_eq!(
            wanted.iter().map(|find| find.model.as_str()).collect::<Vec<_>>(),
            ["currency.currency", "product.product", "account.tax", "product.product", "account.invoice.payment_term"]
        );
        let sale = written(&sale, &|find| Some(i64::try_from(find.key().len()).unwrap()));
        let lines = &sale["lines"][0];
        assert_eq!((&lines[0], lines[1].as_array().unwrap().len()), (&json!("create"), 2));
        assert_eq!(lines[1][0]["unit_price"], json!({"__class__": "Decimal", "decimal": "19.9900"}));
        assert_eq!((&lines[1][0]["quantity"], &lines[1][0]["taxes"][0][0]), (&json!(2), &json!("add")));
        assert_eq!(sale["sale_date"], json!({"__class__": "date", "year": 2026, "month": 3, "day": 2}));
        assert_eq!(sale.get("description"), None);
        let party = mapping.write("party", &known).unwrap();
        assert_eq!(
            party,
            json!({"name": "Ada", "contact_mechanisms": [{"type": "email", "value": "ada@example.org"}]})
        );
        let address = mapping.write("address", &with_address(known.clone(), &known["ship"])).unwrap();
        assert_eq!((&address["street"], &address["party_name"]), (&json!("Linden 1"), &json!("Ada")));
    }

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
        let judged = |ours: &str, theirs: &str| judge_total(number(ours), number(theirs), number("0.05")).ok();
        assert_eq!(judged("10.00", "10.00"), Some(number("0")));
        assert_eq!(judged("10.00", "9.98"), Some(number("0.02")));
        assert_eq!(judged("10.00", "9.90"), None);
        assert_eq!(total(&order()), None);
    }
}

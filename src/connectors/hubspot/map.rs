//! What an event asks for, and from our documents to HubSpot's records. Pure.

use serde_json::{Map, Value, json};

use super::Guests;
pub(super) use crate::connectors::erp::{member, of_customer, of_order, word};
use crate::{
    connectors::{erp, mapping::Mapping},
    error::{Code, Error, Result},
    events::Event,
};

/// The properties that have to be made there: of which object, what they are called, whether their values are unique.
pub(super) const PROPERTIES: [(&str, &str, bool); 4] = [
    ("orders", ORDER_KEY, true),
    ("orders", VERSION, false),
    ("line_items", LINE_KEY, true),
    ("contacts", CUSTOMER, false),
];

/// Our id of an order.
pub(super) const ORDER_KEY: &str = "kontor_order_id";
/// Our version of it.
pub(super) const VERSION: &str = "kontor_version";
/// Our id of an order with the number of its line.
pub(super) const LINE_KEY: &str = "kontor_line_id";
/// Our id of a customer.
pub(super) const CUSTOMER: &str = "kontor_customer_id";
/// What contacts are told apart by in HubSpot.
const EMAIL: &str = "email";

/// What an event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Nothing that HubSpot has to know.
    Nothing,
    /// The order has to be there as it is now.
    Order,
    /// The contact has to be there as the customer is now.
    Contact,
    /// Nothing may be known of the contact any more.
    Erased,
}

/// What an event asks for. Every event that tells of an order as a whole is one to be brought there: a CRM wants to see where it stands.
pub(super) fn task(event: &Event) -> Task {
    match erp::task(event) {
        erp::Task::Party => Task::Contact,
        erp::Task::Erased => Task::Erased,
        _ if event.kind.starts_with("order.") && is_whole(&event.data) => Task::Order,
        _ => Task::Nothing,
    }
}

fn is_whole(order: &Value) -> bool {
    member(order, "lines").is_array() && member(order, "version").is_i64() && !word(order, "number").is_empty()
}

/// A record to be made or changed under the value of a unique property.
fn upsert(key: &str, value: &str, mut properties: Map<String, Value>) -> Value {
    properties.insert(key.to_owned(), json!(value));
    json!({"id": value, "idProperty": key, "properties": properties})
}

/// What a mapping writes, all of it texts, as HubSpot's properties are.
fn properties(mapping: &Mapping, document: &str, known: &Value) -> Result<Map<String, Value>> {
    let Value::Object(written) = mapping.write(document, known)? else {
        let detail = format!("`{document}` has to be an object whose members are properties");
        return Err(Error::problem(Code::MappingFailed, detail));
    };
    let text = |(name, value): (String, Value)| match value {
        Value::String(text) => Ok((name, json!(text))),
        Value::Number(number) => Ok((name, json!(number.to_string()))),
        Value::Bool(yes) => Ok((name, json!(yes.to_string()))),
        _ => {
            let detail = format!("`{document}/{name}`: a property of HubSpot's is a text, a number or a truth value");
            Err(Error::problem(Code::MappingFailed, detail))
        }
    };
    written.into_iter().map(text).collect()
}

/// The order.
pub(super) fn order_of(order: &Value, mapping: &Mapping, known: &Value) -> Result<Value> {
    let mut properties = properties(mapping, "order", known)?;
    properties.insert(VERSION.to_owned(), json!(member(order, "version").to_string()));
    Ok(upsert(ORDER_KEY, word(order, "id"), properties))
}

/// The order without anything that its mapping writes of whom it is for, and where it goes: whatever of it is no plain fact of the sale.
pub(super) fn blank(mapping: &Mapping, order: &str) -> Value {
    let facts = [
        "order.number",
        "order.state",
        "order.fulfilment_state",
        "order.payment_state",
        "order.currency",
        "order.version",
    ];
    let amounts = ["order.total.", "order.tax.", "order.net.", "order.placed_at"];
    let is_fact = |template: &Value| {
        let text = template.as_str().unwrap_or_default();
        !text.starts_with('=') || facts.iter().chain(&amounts).any(|fact| text.contains(fact))
    };
    let document = mapping.documents.get("order").and_then(Value::as_object);
    let personal = document.into_iter().flatten().filter(|(_, template)| !is_fact(template));
    upsert(ORDER_KEY, order, personal.map(|(name, _)| (name.clone(), json!(""))).collect())
}

/// Its line items. What is cancelled stays, with as many pieces as are still wanted.
pub(super) fn lines_of(order: &Value, mapping: &Mapping, known: &Value) -> Result<Vec<Value>> {
    let lines = known.pointer("/order/lines").and_then(Value::as_array).cloned().unwrap_or_default();
    let item = |line: Value| {
        let key = format!("{}:{}", word(order, "id"), member(&line, "line_no"));
        let mut known = known.clone();
        if let Some(known) = known.as_object_mut() {
            known.insert("line".to_owned(), line);
        }
        Ok(upsert(LINE_KEY, &key, properties(mapping, "line_item", &known)?))
    };
    lines.into_iter().map(item).collect()
}

/// The contact of who has bought; `None` for guests who are none, and where nobody is known any more.
pub(super) fn contact_of(order: &Value, mapping: &Mapping, known: &Value, guests: Guests) -> Result<Option<Value>> {
    let customer = word(order, "customer_id");
    if customer.is_empty() && guests == Guests::None {
        return Ok(None);
    }
    contact_under(customer, word(order, EMAIL), mapping, known)
}

/// The contact of a customer; `None` for one without an e-mail address.
pub(super) fn contact(customer: &Value, mapping: &Mapping, known: &Value) -> Result<Option<Value>> {
    contact_under(word(customer, "id"), word(customer, EMAIL), mapping, known)
}

fn contact_under(customer: &str, email: &str, mapping: &Mapping, known: &Value) -> Result<Option<Value>> {
    if email.is_empty() {
        return Ok(None);
    }
    let mut properties = properties(mapping, "contact", known)?;
    if !customer.is_empty() {
        properties.insert(CUSTOMER.to_owned(), json!(customer));
    }
    Ok(Some(upsert(EMAIL, email, properties)))
}

/// Records that belong together, each pair once.
pub(super) fn pairs(from: &str, to: &[String]) -> Vec<Value> {
    to.iter().map(|to| json!({"from": {"id": from}, "to": {"id": to}})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping() -> Mapping {
        Mapping::built_in(include_str!("mapping.json"))
    }

    fn order() -> Value {
        let eur = |amount: &str| json!({"amount": amount, "currency": "EUR"});
        json!({
            "id": "order_1", "number": "1001", "version": 4, "state": "placed", "fulfilment_state": "unfulfilled", "payment_state": "authorised",
            "currency": "EUR", "placed_at": "2026-03-02T10:00:00.000000Z", "email": "ada@example.org", "net": eur("8.40"), "tax": eur("1.60"),
            "total": eur("10.00"),
            "lines": [{"line_no": 1, "sku": "MUG", "name": "Mug", "quantity": 4, "cancelled": 1, "gross": eur("10.00")}],
        })
    }

    #[test]
    fn an_order_bears_our_key_and_version_whatever_the_mapping_says() {
        let (order, mapping) = (order(), mapping());
        let known = of_order(&order, &json!({}));
        let record = order_of(&order, &mapping, &known).unwrap();
        assert_eq!((&record["id"], &record["idProperty"]), (&json!("order_1"), &json!(ORDER_KEY)));
        let properties = &record["properties"];
        assert_eq!((&properties[ORDER_KEY], &properties[VERSION]), (&json!("order_1"), &json!("4")));
        assert_eq!((&properties["hs_total_price"], &properties["hs_currency_code"]), (&json!("10.00"), &json!("EUR")));
        let lines = lines_of(&order, &mapping, &known).unwrap();
        assert_eq!(lines[0]["id"], "order_1:1");
        assert_eq!(
            (&lines[0]["properties"]["quantity"], &lines[0]["properties"]["price"]),
            (&json!("3"), &json!("2.500000"))
        );
    }

    #[test]
    fn what_an_erased_order_keeps_is_what_was_sold() {
        let blank = blank(&mapping(), "order_1");
        let properties = blank["properties"].as_object().unwrap();
        let gone: Vec<&str> =
            properties.iter().filter(|(_, value)| **value == "").map(|(name, _)| name.as_str()).collect();
        assert_eq!(gone.len(), 5, "{gone:?}");
        assert!(gone.iter().all(|name| name.starts_with("hs_shipping_address_")), "{gone:?}");
        assert_eq!(properties[ORDER_KEY], "order_1");
    }

    #[test]
    fn guests_are_contacts_only_where_that_is_wanted() {
        let (order, mapping) = (order(), mapping());
        let known = of_order(&order, &json!({}));
        assert!(contact_of(&order, &mapping, &known, Guests::None).unwrap().is_none());
        let contact = contact_of(&order, &mapping, &known, Guests::ByEmail).unwrap().unwrap();
        assert_eq!((&contact["id"], &contact["idProperty"]), (&json!("ada@example.org"), &json!("email")));
        assert!(contact["properties"].get(CUSTOMER).is_none());
        let mut own = order.clone();
        own["customer_id"] = json!("customer_1");
        let contact = contact_of(&own, &mapping, &known, Guests::None).unwrap().unwrap();
        assert_eq!(contact["properties"][CUSTOMER], "customer_1");
        own["email"] = Value::Null;
        assert!(contact_of(&own, &mapping, &known, Guests::ByEmail).unwrap().is_none());
    }
}

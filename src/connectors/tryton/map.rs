//! From an event to what Tryton is told, and from our documents to its way of writing them. Pure.
//!
//! Beside plain values a document of the mapping has three marks: `{"@decimal": "19.99"}`, `{"@date": "2026-03-02"}`, and
//! `{"@find": "product.product", "where": [["code", "=", "TEE-M"]]}`, which stands for the one record that is found.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

pub(super) use crate::connectors::erp::{
    Find, Task, ids, is_held, member, of_customer, of_order, task, total, with_address, word,
};
use crate::connectors::{erp, wire::Stop};

/// A value of a domain in Tryton's way of writing.
fn plain(value: &Value) -> Value {
    written(value, &|_| None)
}

/// All that is to be looked for in a document, each once.
pub(super) fn finds(document: &Value) -> Vec<Find> {
    erp::finds(document, plain)
}

/// A document in Tryton's way of writing: marks become values, lists of documents become records to be made, lists of ids
/// records to be added.
pub(super) fn written(document: &Value, id_of: &dyn Fn(&Find) -> Option<i64>) -> Value {
    if let Some(find) = Find::of(document, plain) {
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

/// What the difference between the sums of both sides means.
pub(super) fn judge_total(ours: Decimal, theirs: Decimal, tolerance: Decimal) -> Result<Decimal, Stop> {
    erp::judge_total("Tryton", ours, theirs, tolerance)
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
    use crate::connectors::{mapping::Mapping, tryton};

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
}

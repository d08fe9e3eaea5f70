//! From our documents to Odoo's way of writing them. Pure.
//!
//! Beside plain values a document of the mapping has two marks: `{"@number": "19.99"}`, and
//! `{"@find": "product.product", "where": [["default_code", "=", "TEE-M"]]}`, which stands for the one record that is found.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

pub(super) use crate::connectors::erp::{
    Find, Task, ids, is_held, member, of_customer, of_order, task, total, with_address, word,
};
use crate::{
    connectors::{erp, wire::Stop},
    kernel::Instant,
};

/// A value of a domain in Odoo's way of writing.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(members) => members.get("@number").map_or(Value::Null, number),
        _ => value.clone(),
    }
}

/// A number as JSON writes it, of a decimal text.
fn number(text: &Value) -> Value {
    match text {
        Value::String(text) => serde_json::from_str(text).ok().filter(Value::is_number).unwrap_or_default(),
        other => other.clone(),
    }
}

/// All that is to be looked for in a document, each once.
pub(super) fn finds(document: &Value) -> Vec<Find> {
    erp::finds(document, plain)
}

/// What is looked for in one request: of a model all that are told apart by one field.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lookup {
    /// The model.
    pub model: String,
    /// The field by whose value each is found; without one there is a single one to be found.
    pub field: Option<String>,
    /// What is looked for.
    pub finds: Vec<Find>,
}

impl Lookup {
    /// The domain that finds all of it.
    pub(super) fn domain(&self) -> Value {
        match &self.field {
            Some(field) => {
                let values: Vec<&Value> = self.finds.iter().filter_map(|find| find.domain.pointer("/0/2")).collect();
                json!([[field, "in", values]])
            }
            None => self.finds.first().map(|find| find.domain.clone()).unwrap_or_default(),
        }
    }
}

/// What is looked for, put together where one request finds several.
pub(super) fn lookups(finds: Vec<Find>) -> Vec<Lookup> {
    let mut lookups: Vec<Lookup> = Vec::new();
    for find in finds {
        let field = told_apart_by(&find.domain);
        let same =
            lookups.iter_mut().find(|known| known.field.is_some() && known.field == field && known.model == find.model);
        match same {
            Some(known) => known.finds.push(find),
            None => lookups.push(Lookup { model: find.model.clone(), field, finds: vec![find] }),
        }
    }
    lookups
}

/// The field of a domain that asks for one text and nothing else.
fn told_apart_by(domain: &Value) -> Option<String> {
    let [clause] = domain.as_array()?.as_slice() else { return None };
    let [field, operator, value] = clause.as_array()?.as_slice() else { return None };
    let plain = field.as_str().filter(|field| !field.contains('.'));
    (operator.as_str() == Some("=") && value.is_string()).then_some(plain?.to_owned())
}

/// The ids of what a lookup has found, by the keys of what was looked for.
///
/// # Errors
/// When one is not there, or is there several times.
pub(super) fn found(lookup: &Lookup, records: &[Value]) -> Result<BTreeMap<String, i64>, Stop> {
    let one = |find: &Find| {
        let fits = |record: &&Value| match &lookup.field {
            Some(field) => record.get(field) == find.domain.pointer("/0/2"),
            None => true,
        };
        let mut ids = records.iter().filter(fits).filter_map(|record| record.get("id")?.as_i64());
        match (ids.next(), ids.next()) {
            (Some(id), None) => Ok((find.key(), id)),
            (None, _) => Err(Stop::refused(format!(
                "Odoo has no `{}` with {}: make it there, or say in the mapping what it is called",
                find.model, find.domain
            ))),
            (Some(_), Some(_)) => Err(Stop::refused(format!(
                "Odoo has several `{}` with {}: make them differ, or say in the mapping which one",
                find.model, find.domain
            ))),
        }
    };
    lookup.finds.iter().map(one).collect()
}

/// A document in Odoo's way of writing: marks become values, lists of documents become records to be made, lists of ids the
/// records that are meant, and no others.
pub(super) fn written(document: &Value, id_of: &dyn Fn(&Find) -> Option<i64>) -> Value {
    if let Some(find) = Find::of(document, plain) {
        return id_of(&find).map_or_else(|| json!({"{id}": find.key()}), Value::from);
    }
    match document {
        Value::Array(items) => Value::Array(items.iter().map(|item| written(item, id_of)).collect()),
        Value::Object(members) => match members.get("@number") {
            Some(text) => number(text),
            None => Value::Object(members.iter().map(|(name, member)| (name.clone(), field(member, id_of))).collect()),
        },
        _ => document.clone(),
    }
}

/// A member of a record: a list of documents or of ids stands for what is done with the records behind it.
fn field(member: &Value, id_of: &dyn Fn(&Find) -> Option<i64>) -> Value {
    let Value::Array(items) = member else { return written(member, id_of) };
    let are_made = items.first().is_some_and(|item| item.is_object() && item.get("@find").is_none());
    let items: Vec<Value> = items.iter().map(|item| written(item, id_of)).collect();
    match are_made {
        true => items.into_iter().map(|item| json!([0, 0, item])).collect(),
        false => json!([[6, 0, items]]),
    }
}

/// A record as a row to be loaded: the names of its columns with its values, all of them texts.
///
/// # Errors
/// When a member is none that stands in a row.
pub(super) fn row(document: &Value, id_of: &dyn Fn(&Find) -> Option<i64>) -> Result<Vec<(String, String)>, Stop> {
    let column = |(name, value): (&String, &Value)| match (Find::of(value, plain), value) {
        (Some(find), _) => Ok((format!("{name}/.id"), id_of(&find).unwrap_or_default().to_string())),
        (None, Value::String(text)) => Ok((name.clone(), text.clone())),
        (None, Value::Bool(flag)) => Ok((name.clone(), if *flag { "1" } else { "0" }.to_owned())),
        (None, Value::Number(number)) => Ok((name.clone(), number.to_string())),
        _ => Err(Stop::refused(format!("{name}: expected a text, a number, a flag or `@find` in the mapping"))),
    };
    document.as_object().into_iter().flatten().map(column).collect()
}

/// The lines of a sale under the name that an Odoo has for their taxes: `tax_ids` since version 19, `tax_id` before.
pub(super) fn with_taxes_as(sale: &mut Map<String, Value>, name: &str) {
    let lines = sale.get_mut("order_line").and_then(Value::as_array_mut);
    for line in lines.into_iter().flatten().filter_map(|command| command.get_mut(2)?.as_object_mut()) {
        if let Some(taxes) = line.remove("tax_ids") {
            line.insert(name.to_owned(), taxes);
        }
    }
}

/// A decimal number of Odoo's, which writes them as JSON does; rounded to the places of a currency.
pub(super) fn decimal(value: &Value, places: u32) -> Option<Decimal> {
    let text = value.as_number()?.to_string();
    let number: Decimal = text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok())?;
    Some(number.round_dp(places))
}

/// The id of the record that a field names.
pub(super) fn one(document: &Value, name: &str) -> Option<i64> {
    member(document, name).get(0)?.as_i64()
}

/// What the record that a field names is called.
pub(super) fn called<'a>(document: &'a Value, name: &str) -> Option<&'a str> {
    member(document, name).get(1)?.as_str()
}

/// An instant in Odoo's way of writing: to the second, of the world's clock.
pub(super) fn instant(at: Instant) -> String {
    let text = at.to_string();
    format!("{} {}", text.get(..10).unwrap_or_default(), text.get(11..19).unwrap_or_default())
}

/// An instant of Odoo's.
pub(super) fn read_instant(text: &str) -> Option<Instant> {
    let (day, time) = text.split_once(' ')?;
    format!("{day}T{time}Z").parse().ok()
}

/// The id outside Odoo of what stands for an object of ours: Odoo keeps one record of each. Of a guest's order there are two, the
/// sale and the partner.
pub(super) fn external_id(kind: &str, object_id: &str) -> String {
    format!("__kontor__.{kind}_{object_id}")
}

/// What the difference between the sums of both sides means.
pub(super) fn judge_total(ours: Decimal, theirs: Decimal, tolerance: Decimal) -> Result<Decimal, Stop> {
    erp::judge_total("Odoo", ours, theirs, tolerance)
}

/// Whether an address is there already: what Odoo has of it is the same.
pub(super) fn is_same_address(theirs: &Value, ours: &Map<String, Value>) -> bool {
    ["name", "street", "street2", "zip", "city", "country_id"].iter().all(|name| {
        let (theirs, ours) = (member(theirs, name), ours.get(*name).unwrap_or(&Value::Null));
        let theirs = theirs.get(0).unwrap_or(theirs);
        theirs == ours || is_blank(theirs) && is_blank(ours)
    })
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("") || value.as_bool() == Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::{mapping::Mapping, odoo};

    fn order(prices_include_tax: bool) -> Value {
        let money = |amount: &str| json!({"amount": amount, "currency": "EUR"});
        let address = json!({"name": "Ada", "street1": "Linden 1", "street2": null, "postcode": "10117", "city": "Berlin", "country": "DE"});
        json!({
            "id": "order_1", "number": "1001", "currency": "EUR", "state": "placed", "email": "ada@example.org",
            "purchase_order": null, "placed_at": "2026-03-02T09:00:05.000000Z", "total": money("53.53"), "holds": [],
            "prices_include_tax": prices_include_tax,
            "billing_address": null, "deliveries": [{"address": address}], "customer_id": null,
            "shipping": {"name": "Parcel", "subtotal": money("5.95"), "discount": money("0.00"), "tax_rate": "0.19"},
            "lines": [
                {"sku": "TEE-M", "name": "Tee", "quantity": 3, "cancelled": 1, "subtotal": money("59.97"), "discount": money("6.00"),
                 "tax_rate": "0.19"},
                {"sku": "BOOK", "name": "Book", "quantity": 1, "subtotal": money("10.00"), "discount": money("0.00"), "tax_rate": "0"},
                {"sku": "GONE", "name": "Gone", "quantity": 1, "cancelled": 1, "subtotal": money("1.00"), "discount": money("1.00"),
                 "tax_rate": "0"}]
        })
    }

    fn mapping() -> Mapping {
        let mapping: Mapping = (odoo::ADAPTER.mapping)();
        mapping.check().unwrap();
        mapping
    }

    #[test]
    fn a_sale_is_written_of_what_is_left_of_an_order_with_shipping_and_discounts_as_lines() {
        let known = of_order(&order(true), &json!({"payment_term": "30 Days"}));
        let sale = mapping().write("sale", &known).unwrap();
        let wanted = lookups(finds(&sale));
        let models: Vec<(&str, usize)> = wanted.iter().map(|one| (one.model.as_str(), one.finds.len())).collect();
        assert_eq!(models, [("product.product", 4), ("account.tax", 1), ("account.payment.term", 1)]);
        assert_eq!(wanted[0].domain(), json!([["default_code", "in", ["TEE-M", "BOOK", "DISCOUNT", "SHIPPING"]]]));
        assert_eq!(
            wanted[1].domain(),
            json!([
                ["amount", "=", 19],
                ["amount_type", "=", "percent"],
                ["type_tax_use", "=", "sale"],
                ["price_include", "=", true]
            ])
        );
        let sale = written(&sale, &|find| Some(i64::try_from(find.key().len()).unwrap()));
        assert_eq!((&sale["client_order_ref"], &sale["date_order"]), (&json!("1001"), &json!("2026-03-02 09:00:05")));
        let lines: Vec<&Value> = sale["order_line"].as_array().unwrap().iter().map(|line| &line[2]).collect();
        assert_eq!(sale["order_line"][0][0], 0);
        let told: Vec<(&Value, &Value, &Value)> =
            lines.iter().map(|line| (&line["name"], &line["product_uom_qty"], &line["price_unit"])).collect();
        assert_eq!(
            told,
            [
                (&json!("Tee"), &json!(2), &json!(19.99)),
                (&json!("Book"), &json!(1), &json!(10.0)),
                (&json!("Discount: Tee"), &json!(1), &json!(-4.0)),
                (&json!("Parcel"), &json!(1), &json!(5.95)),
            ]
        );
        assert_eq!((&lines[1]["tax_ids"], lines[0]["tax_ids"][0][0].as_i64()), (&json!([[6, 0, []]]), Some(6)));
        assert!(lines.iter().all(|line| line["discount"] == json!(0)));
    }

    #[test]
    fn taxes_and_price_lists_are_named_by_tables() {
        let own: Mapping = serde_json::from_value(json!({"tables": {
            "taxes": {"0.19": "19% USt", "0": "0% EU"}, "pricelists": {"EUR": "Web EUR"}
        }}))
        .unwrap();
        let sale = own.over(&mapping()).write("sale", &of_order(&order(false), &json!({}))).unwrap();
        let domains: Vec<Value> = lookups(finds(&sale)).iter().map(Lookup::domain).collect();
        for wanted in [
            json!([["name", "=", "19% USt"], ["type_tax_use", "=", "sale"]]),
            json!([["name", "=", "0% EU"], ["type_tax_use", "=", "sale"]]),
            json!([["name", "in", ["Web EUR"]]]),
        ] {
            assert!(domains.contains(&wanted), "{wanted} in {domains:?}");
        }
    }

    #[test]
    fn a_partner_is_a_row_and_an_address_is_known_again() {
        let known = of_order(&order(true), &json!({}));
        let partner = mapping().write("partner", &known).unwrap();
        assert_eq!(finds(&partner).len(), 1);
        let row = row(&partner, &|_| Some(57)).unwrap();
        let has = |name: &str, value: &str| row.contains(&(name.to_owned(), value.to_owned()));
        assert!(has("name", "Ada") && has("email", "ada@example.org") && has("country_id/.id", "57"), "{row:?}");
        let address = mapping().write("address", &with_address(known.clone(), &known["ship"])).unwrap();
        let ours = written(&address, &|_| Some(57));
        let theirs = json!({"id": 7, "name": "Ada", "street": "Linden 1", "street2": false, "zip": "10117", "city": "Berlin",
            "country_id": [57, "Germany"]});
        assert!(is_same_address(&theirs, ours.as_object().unwrap()));
        let moved = json!({"name": "Ada", "street": "Linden 2", "country_id": false});
        assert!(!is_same_address(&moved, ours.as_object().unwrap()));
    }

    #[test]
    fn what_is_not_there_or_there_twice_is_told() {
        let find = |code: &str| Find { model: "product.product".into(), domain: json!([["default_code", "=", code]]) };
        let lookup = lookups(vec![find("A"), find("B")]).remove(0);
        let records = [json!({"id": 1, "default_code": "A"}), json!({"id": 2, "default_code": "B"})];
        assert_eq!(found(&lookup, &records).unwrap().values().copied().collect::<Vec<_>>(), [1, 2]);
        assert!(
            found(&lookup, &records[..1])
                .unwrap_err()
                .error
                .contains("has no `product.product` with [[\"default_code\",\"=\",\"B\"]]")
        );
        let twice = [records[0].clone(), records[0].clone(), records[1].clone()];
        assert!(found(&lookup, &twice).unwrap_err().error.contains("has several"));
    }

    #[test]
    fn numbers_and_instants_are_read_as_odoo_writes_them() {
        assert_eq!(decimal(&json!(53.529_999_999_999_994), 2), "53.53".parse().ok());
        assert_eq!(decimal(&json!(12), 2), "12".parse().ok());
        assert_eq!(decimal(&json!(false), 2), None);
        let at: Instant = "2026-03-02T09:02:30Z".parse().unwrap();
        assert_eq!((instant(at).as_str(), read_instant("2026-03-02 09:02:30")), ("2026-03-02 09:02:30", Some(at)));
        let line = json!({"currency_id": [1, "EUR"], "carrier_id": false});
        assert_eq!((one(&line, "currency_id"), called(&line, "currency_id")), (Some(1), Some("EUR")));
        assert_eq!((one(&line, "carrier_id"), called(&line, "carrier_id")), (None, None));
    }
}

//! A CRM that answers as HubSpot's API does (v3 objects and properties, v4 associations), as its official client libraries describe it: it refuses
//! unknown members, properties that nobody has made, values that are no texts, batches that are too large, and who does not sign in.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use serde_json::{Map, Value, json};

use super::conformance::{Double, Held};
use crate::support::Received;

const TOKEN: &str = "pat-eu1-s3cret-t0ken";

type Properties = BTreeMap<String, String>;

#[derive(Default, Clone)]
struct Memory {
    last: u64,
    /// Records by object and id.
    records: BTreeMap<(String, String), Properties>,
    /// Which records belong together: both as `object/id`.
    pairs: BTreeSet<(String, String)>,
    erased: Vec<String>,
    /// What a client has asked wrongly.
    wrong: Vec<String>,
}

/// The double.
#[derive(Default)]
pub struct HubSpot {
    memory: Mutex<Memory>,
    backup: Mutex<Memory>,
}

/// What can be asked of properties: of which objects they are, and whether their values are unique.
fn known(object: &str, property: &str) -> Option<bool> {
    let unique = match object {
        "orders" => ["kontor_order_id"].as_slice(),
        "line_items" => &["kontor_line_id"],
        "contacts" => &["email"],
        _ => return None,
    };
    let plain = match object {
        "orders" => [
            "kontor_version",
            "hs_order_name",
            "hs_external_order_id",
            "hs_external_order_status",
            "hs_fulfillment_status",
            "hs_payment_status",
            "hs_external_created_date",
            "hs_currency_code",
            "hs_tax",
            "hs_total_price",
            "hs_shipping_address_name",
            "hs_shipping_address_street",
            "hs_shipping_address_postal_code",
            "hs_shipping_address_city",
            "hs_shipping_address_country",
        ]
        .as_slice(),
        "line_items" => &["name", "hs_sku", "quantity", "price", "hs_line_item_currency_code"],
        _ => &["kontor_customer_id", "lastname", "company", "phone", "address", "zip", "city", "country"],
    };
    if unique.contains(&property) {
        return Some(true);
    }
    plain.contains(&property).then_some(false)
}

fn problem(status: u16, category: &str, message: &str) -> (u16, Value) {
    (status, json!({"status": "error", "category": category, "message": message, "correlationId": "c0ffee"}))
}

fn only(body: &Value, members: &[&str]) -> Result<(), (u16, Value)> {
    let all = body.as_object().map(Map::keys).into_iter().flatten();
    match all.clone().find(|name| !members.contains(&name.as_str())) {
        Some(odd) => Err(problem(400, "VALIDATION_ERROR", &format!("Invalid input JSON: unknown field {odd}"))),
        None if body.is_object() => Ok(()),
        None => Err(problem(400, "VALIDATION_ERROR", "Invalid input JSON")),
    }
}

impl Memory {
    fn written(&self, object: &str, properties: &Value) -> Result<Properties, (u16, Value)> {
        let mut written = Properties::new();
        for (name, value) in properties.as_object().into_iter().flatten() {
            if known(object, name).is_none() {
                return Err(problem(400, "VALIDATION_ERROR", &format!("Property \"{name}\" does not exist")));
            }
            let Some(text) = value.as_str() else {
                return Err(problem(400, "VALIDATION_ERROR", &format!("{name} was not a string")));
            };
            let text = if name == "email" { text.to_lowercase() } else { text.to_owned() };
            written.insert(name.clone(), text);
        }
        Ok(written)
    }

    /// The record that has a value of a unique property.
    fn find(&self, object: &str, key: &str, value: &str) -> Option<String> {
        let value = if key == "email" { value.to_lowercase() } else { value.to_owned() };
        let of = |((of, _), properties): &(&(String, String), &Properties)| {
            of == object && properties.get(key) == Some(&value)
        };
        self.records.iter().find(of).map(|((_, id), _)| id.clone())
    }

    fn upsert(&mut self, object: &str, body: &Value) -> Result<(u16, Value), (u16, Value)> {
        only(body, &["inputs"])?;
        let inputs = body["inputs"].as_array().cloned().unwrap_or_default();
        if inputs.is_empty() || inputs.len() > 100 {
            return Err(problem(400, "VALIDATION_ERROR", "inputs: 1 to 100"));
        }
        let mut results = Vec::new();
        for input in &inputs {
            only(input, &["id", "idProperty", "properties", "objectWriteTraceId"])?;
            let (key, value) = (input["idProperty"].as_str().unwrap_or("hs_object_id"), input["id"].as_str().unwrap());
            if known(object, key) != Some(true) {
                return Err(problem(400, "VALIDATION_ERROR", &format!("{key} is not a unique property")));
            }
            let mut properties = self.written(object, &input["properties"])?;
            properties.entry(key.to_owned()).or_insert_with(|| value.to_owned());
            let found = self.find(object, key, value);
            let id = found.clone().unwrap_or_else(|| {
                self.last += 1;
                (38_000_000_000 + self.last).to_string()
            });
            let record = self.records.entry((object.to_owned(), id.clone())).or_default();
            record.extend(properties);
            results.push(json!({"id": id, "properties": record.clone(), "new": found.is_none(), "archived": false,
                "createdAt": "2026-03-02T10:00:00.000Z", "updatedAt": "2026-03-02T10:00:00.000Z"}));
        }
        Ok((
            200,
            json!({"status": "COMPLETE", "results": results, "startedAt": "2026-03-02T10:00:00.000Z", "completedAt": "2026-03-02T10:00:00.100Z"}),
        ))
    }

    fn read(&self, object: &str, body: &Value) -> Result<(u16, Value), (u16, Value)> {
        only(body, &["inputs", "idProperty", "properties", "propertiesWithHistory"])?;
        let key = body["idProperty"].as_str().unwrap_or("hs_object_id");
        let mut results = Vec::new();
        for input in body["inputs"].as_array().into_iter().flatten() {
            only(input, &["id"])?;
            if let Some(id) = self.find(object, key, input["id"].as_str().unwrap()) {
                results.push(json!({"id": id, "properties": self.records[&(object.to_owned(), id.clone())]}));
            }
        }
        if results.is_empty() {
            let missing =
                json!({"status": "error", "category": "OBJECT_NOT_FOUND", "message": "Could not get some objects"});
            return Ok((207, json!({"status": "COMPLETE", "results": [], "numErrors": 1, "errors": [missing]})));
        }
        Ok((200, json!({"status": "COMPLETE", "results": results})))
    }

    fn associate(&mut self, (from, to): (&str, &str), body: &Value) -> Result<(u16, Value), (u16, Value)> {
        only(body, &["inputs"])?;
        for input in body["inputs"].as_array().into_iter().flatten() {
            only(input, &["from", "to"])?;
            let (one, other) = (input["from"]["id"].as_str().unwrap(), input["to"]["id"].as_str().unwrap());
            for (object, id) in [(from, one), (to, other)] {
                if !self.records.contains_key(&(object.to_owned(), id.to_owned())) {
                    return Err(problem(400, "VALIDATION_ERROR", &format!("{object} {id} does not exist")));
                }
            }
            self.pairs.insert((format!("{from}/{one}"), format!("{to}/{other}")));
        }
        Ok((200, json!({"status": "COMPLETE", "results": []})))
    }

    fn answer(&mut self, method: &str, path: &str, body: &Value) -> Result<(u16, Value), (u16, Value)> {
        let parts: Vec<&str> = path.split(['/', '?']).filter(|part| !part.is_empty()).collect();
        match (method, parts.as_slice()) {
            ("GET", ["crm", "v3", "properties", object, property]) => match known(object, property) {
                Some(unique) => Ok((200, json!({"name": property, "hasUniqueValue": unique}))),
                None => Err(problem(404, "OBJECT_NOT_FOUND", "Property does not exist")),
            },
            ("POST", ["crm", "v3", "objects", object, "batch", "upsert"]) => self.upsert(object, body),
            ("POST", ["crm", "v3", "objects", object, "batch", "read"]) => self.read(object, body),
            ("POST", ["crm", "v4", "associations", from, to, "batch", "associate", "default"]) => {
                self.associate((from, to), body)
            }
            ("POST", ["crm", "v3", "objects", "contacts", "gdpr-delete"]) => {
                only(body, &["objectId", "idProperty"])?;
                let id = body["objectId"].as_str().unwrap().to_owned();
                self.records.remove(&("contacts".to_owned(), id.clone()));
                self.pairs.retain(|(_, other)| *other != format!("contacts/{id}"));
                self.erased.push(id);
                Ok((204, Value::Null))
            }
            ("GET" | "PATCH", ["crm", "v3", "objects", object, id, ..]) => {
                let key = ((*object).to_owned(), (*id).to_owned());
                if !self.records.contains_key(&key) {
                    return Err(problem(404, "OBJECT_NOT_FOUND", "Object not found"));
                }
                if method == "PATCH" {
                    only(body, &["properties"])?;
                    let written = self.written(object, &body["properties"])?;
                    let other = written.get("email").and_then(|email| self.find(object, "email", email));
                    if other.is_some_and(|other| other != *id) {
                        return Err(problem(409, "CONFLICT", "A contact with that email already exists"));
                    }
                    self.records.get_mut(&key).unwrap().extend(written);
                }
                Ok((200, json!({"id": id, "properties": self.records[&key]})))
            }
            _ => Err(problem(404, "RESOURCE_NOT_FOUND", &format!("nobody answers {method} {path}"))),
        }
    }
}

impl HubSpot {
    pub fn new() -> Self {
        Self::default()
    }

    /// The contacts that there are.
    pub fn contacts(&self) -> Vec<BTreeMap<String, String>> {
        let memory = self.memory.lock().unwrap();
        memory.records.iter().filter(|((of, _), _)| of == "contacts").map(|(_, one)| one.clone()).collect()
    }

    /// The orders that there are.
    pub fn orders(&self) -> Vec<BTreeMap<String, String>> {
        let memory = self.memory.lock().unwrap();
        memory.records.iter().filter(|((of, _), _)| of == "orders").map(|(_, one)| one.clone()).collect()
    }

    /// How many contacts were erased.
    pub fn erased(&self) -> usize {
        self.memory.lock().unwrap().erased.len()
    }

    /// What was asked that HubSpot does not know.
    pub fn wrong(&self) -> Vec<String> {
        self.memory.lock().unwrap().wrong.clone()
    }
}

impl Double for HubSpot {
    fn adapter(&self) -> &'static str {
        "hubspot"
    }

    fn settings(&self, url: &str) -> Value {
        json!({ "url": url })
    }

    fn secrets(&self) -> Value {
        json!({ "access_token": TOKEN })
    }

    fn secret_words(&self) -> Vec<String> {
        vec![TOKEN.to_owned()]
    }

    fn answer(&self, request: &Received) -> (u16, String) {
        if request.header("authorization") != format!("Bearer {TOKEN}") {
            let (status, body) = problem(401, "INVALID_AUTHENTICATION", "Authentication credentials not found");
            return (status, body.to_string());
        }
        let mut head = request.head.split(' ');
        let (method, path) = (head.next().unwrap().to_owned(), head.next().unwrap().to_owned());
        let body = if request.body.is_empty() { Value::Null } else { request.json() };
        let mut memory = self.memory.lock().unwrap();
        let (status, body) = match memory.answer(&method, &path, &body) {
            Ok(answer) => answer,
            Err((status, body)) => {
                if status == 400 || body["category"] == "RESOURCE_NOT_FOUND" {
                    memory.wrong.push(format!("{method} {path}: {body}"));
                }
                (status, body)
            }
        };
        (status, if body.is_null() { String::new() } else { body.to_string() })
    }

    fn refuse(&self) -> (u16, String) {
        let (status, body) = problem(400, "VALIDATION_ERROR", "Property values were not valid");
        (status, body.to_string())
    }

    fn holds(&self) -> Vec<Held> {
        let memory = self.memory.lock().unwrap();
        let pieces = |order: &str| -> i64 {
            let of =
                |(from, to): &&(String, String)| *from == format!("orders/{order}") && to.starts_with("line_items/");
            let items = memory.pairs.iter().filter(of).map(|(_, to)| to.split_once('/').unwrap().1.to_owned());
            items.map(|id| memory.records[&("line_items".to_owned(), id)]["quantity"].parse::<i64>().unwrap()).sum()
        };
        let orders = memory.records.iter().filter(|((of, _), _)| of == "orders");
        let held = orders.map(|((_, id), order)| Held {
            order: order["hs_external_order_id"].clone(),
            cancelled: order["hs_external_order_status"] == "cancelled",
            pieces: pieces(id),
        });
        held.collect()
    }

    fn is_final(&self) -> bool {
        false
    }

    fn back_up(&self) {
        *self.backup.lock().unwrap() = self.memory.lock().unwrap().clone();
    }

    fn go_back(&self) {
        *self.memory.lock().unwrap() = self.backup.lock().unwrap().clone();
    }

    fn is_searchable(&self) -> bool {
        false
    }
}

//! A far end that answers as Tryton's JSON-RPC does, as strictly: it refuses fields and methods that it does not know, values of
//! another type, steps that a sale can not take, and sessions that it has not opened; and it counts what was made.

use std::{collections::BTreeMap, sync::Mutex};

use serde_json::{Map, Value, json};

use super::conformance::{Double, Held};
use crate::support::Received;

type Records = BTreeMap<i64, Map<String, Value>>;

/// What a server keeps.
#[derive(Default, Clone)]
struct Server {
    models: BTreeMap<String, Records>,
    sessions: Vec<String>,
    /// Wizards that were begun.
    wizards: i64,
    /// The shipment states of sales in exception that nobody has looked after.
    next: i64,
}

/// The double.
pub struct Tryton {
    server: Mutex<Server>,
    backup: Mutex<Server>,
}

const PASSWORD: &str = "t0p-s3cret-word";

/// What a model's records may have, and of which type: `i`nteger, `t`ext, `n`umber, `d`ecimal, `y` date, `b`oolean, `m`any
/// records.
fn fields(model: &str) -> &'static [(&'static str, char)] {
    match model {
        "party.party" => {
            &[("name", 't'), ("active", 'b'), ("code", 't'), ("contact_mechanisms", 'm'), ("addresses", 'm')]
        }
        "party.contact_mechanism" => &[("type", 't'), ("value", 't'), ("comment", 't'), ("party", 'i')],
        "party.address" => &[
            ("party", 'i'),
            ("party_name", 't'),
            ("street", 't'),
            ("postal_code", 't'),
            ("city", 't'),
            ("country", 'i'),
        ],
        "sale.sale" => &[
            ("party", 'i'),
            ("invoice_address", 'i'),
            ("shipment_address", 'i'),
            ("reference", 't'),
            ("description", 't'),
            ("comment", 't'),
            ("sale_date", 'y'),
            ("currency", 'i'),
            ("payment_term", 'i'),
            ("lines", 'm'),
        ],
        "sale.line" => &[
            ("type", 't'),
            ("product", 'i'),
            ("description", 't'),
            ("quantity", 'n'),
            ("unit", 'i'),
            ("unit_price", 'd'),
            ("taxes", 'm'),
            ("sale", 'i'),
        ],
        _ => &[],
    }
}

fn is_of(kind: char, value: &Value) -> bool {
    let class = |name: &str| value["__class__"] == name;
    match kind {
        'i' => value.is_i64(),
        't' => value.is_string(),
        'n' => value.is_number(),
        'b' => value.is_boolean(),
        'd' => {
            class("Decimal")
                && value["decimal"].as_str().is_some_and(|text| text.parse::<rust_decimal::Decimal>().is_ok())
        }
        'y' => class("date") && value["year"].is_i64(),
        'm' => value.is_array(),
        _ => false,
    }
}

fn refused(text: &str) -> Value {
    json!(["UserError", [text, "", null]])
}

fn failed(text: &str) -> Value {
    json!(["TypeError", text])
}

impl Server {
    fn stocked(articles: &[&str]) -> Self {
        let mut server = Self { next: 100, ..Self::default() };
        let mut put = |model: &str, records: Vec<Value>| {
            for record in records {
                server.next += 1;
                let id = server.next;
                let mut record = record.as_object().unwrap().clone();
                record.insert("id".into(), json!(id));
                server.models.entry(model.to_owned()).or_default().insert(id, record);
            }
        };
        put("country.country", ["DE", "AT"].map(|code| json!({"code": code})).into());
        put("currency.currency", vec![json!({"code": "EUR"})]);
        put("account.tax", vec![json!({"rate": {"__class__": "Decimal", "decimal": "0.19"}, "parent": null})]);
        let product = |code: &&str| json!({"code": code, "salable": true, "sale_uom": 1, "default_uom": 1});
        put("product.product", articles.iter().chain(&["SHIPPING", "ROUNDING"]).map(product).collect());
        server
    }

    fn answer(&mut self, request: &Received) -> (u16, Value) {
        let body = request.json();
        let (method, params) =
            (body["method"].as_str().unwrap_or_default(), body["params"].as_array().cloned().unwrap_or_default());
        if !request.head.starts_with("POST /shop/rpc/ ") {
            return (404, Value::Null);
        }
        let told = |outcome: Result<Value, Value>| match outcome {
            Ok(result) => (200, json!({"id": body["id"], "result": result})),
            Err(error) => (200, json!({"id": body["id"], "error": error})),
        };
        if method == "common.db.login" {
            if params[0] != "kontor" || params[1]["password"] != PASSWORD {
                return (200, json!({"id": body["id"], "result": null}));
            }
            self.next += 1;
            let word = format!("w{}", self.next);
            use base64::Engine;
            self.sessions.push(base64::engine::general_purpose::STANDARD.encode(format!("kontor:7:{word}")));
            return told(Ok(json!([7, word, null])));
        }
        let session = request.header("authorization").strip_prefix("Session ").unwrap_or_default().to_owned();
        if !self.sessions.contains(&session) {
            return (401, Value::Null);
        }
        let Some((context, params)) = params.split_last() else { return told(Err(failed("no context"))) };
        if !context.is_object() {
            return told(Err(failed("the last parameter is no context")));
        }
        if method == "model.res.user.get_preferences" {
            return told(Ok(json!({"company": 1, "language": "en"})));
        }
        if context["company"] != 1 {
            return told(Err(refused("no company")));
        }
        told(self.call(method, params))
    }

    fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, Value> {
        if let Some((kind, step)) =
            method.strip_prefix("wizard.sale.handle.").and_then(|rest| rest.split_once(".exception."))
        {
            return self.dialogue(kind, step, params);
        }
        let (model, command) = method
            .strip_prefix("model.")
            .and_then(|rest| rest.rsplit_once('.'))
            .ok_or_else(|| failed("no such method"))?;
        match command {
            "search_read" => self.search(model, &params[0], params[4].as_array().unwrap()),
            "search_count" => Ok(json!(self.models.get(model).map_or(0, BTreeMap::len))),
            "create" => {
                let made: Result<Vec<i64>, Value> =
                    params[0].as_array().unwrap().iter().map(|values| self.create(model, values)).collect();
                made.map(|ids| json!(ids))
            }
            "write" => self.write(model, params[0][0].as_i64().unwrap(), &params[1]).map(|()| Value::Null),
            _ => self.step(model, command, params[0][0].as_i64().unwrap()).map(|()| Value::Null),
        }
    }

    fn search(&self, model: &str, domain: &Value, wanted: &[Value]) -> Result<Value, Value> {
        let fits = |record: &Map<String, Value>| {
            domain.as_array().unwrap().iter().all(|clause| {
                let name = clause[0].as_str().unwrap();
                // Parties, active or not, are all searched here.
                let null = Value::Null;
                let value = if name == "party.active" || name == "active" {
                    &json!(true)
                } else {
                    record.get(name).unwrap_or(&null)
                };
                match clause[1].as_str().unwrap() {
                    "=" => *value == clause[2],
                    "!=" => *value != clause[2],
                    // It has no clock: all of it was made in whatever stretch is asked for.
                    ">=" | "<" if name == "create_date" => true,
                    ">" => value.as_i64() > clause[2].as_i64(),
                    "like" => value
                        .as_str()
                        .unwrap_or_default()
                        .starts_with(clause[2].as_str().unwrap().trim_end_matches('%')),
                    "not in" => !clause[2].as_array().unwrap().contains(value),
                    "in" => clause[2].as_array().unwrap().contains(value),
                    other => panic!("{other}"),
                }
            })
        };
        let records = self.models.get(model).into_iter().flat_map(|records| records.values());
        let shown = |record: &Map<String, Value>| {
            let fields = wanted.iter().map(|name| name.as_str().unwrap()).chain(["id"]);
            Value::Object(fields.map(|name| self.field(record, name)).collect())
        };
        Ok(records.filter(|record| fits(record)).map(shown).collect())
    }

    /// A field of a record, or one of the record that a field names.
    fn field(&self, record: &Map<String, Value>, name: &str) -> (String, Value) {
        let Some((of, name)) = name.split_once('.') else {
            return (name.to_owned(), record.get(name).cloned().unwrap_or_default());
        };
        let id = record.get(of).and_then(Value::as_i64).unwrap_or_default();
        let named = self.models.values().find_map(|records| records.get(&id));
        let value = named.and_then(|named| named.get(name)).cloned().unwrap_or_default();
        (format!("{of}."), json!({name: value}))
    }

    fn check(model: &str, values: &Value) -> Result<(), Value> {
        for (name, value) in values.as_object().ok_or_else(|| failed("no values"))? {
            let field = fields(model).iter().find(|(known, _)| known == name);
            let (_, kind) = field.ok_or_else(|| failed(&format!("{model} has no field {name}")))?;
            if !is_of(*kind, value) {
                return Err(failed(&format!("{model}.{name} is not of type {kind}: {value}")));
            }
        }
        Ok(())
    }

    fn create(&mut self, model: &str, values: &Value) -> Result<i64, Value> {
        Self::check(model, values)?;
        self.next += 1;
        let id = self.next;
        let mut record = json!({"id": id}).as_object().unwrap().clone();
        if model == "sale.sale" {
            for needed in ["party", "reference", "currency", "lines"] {
                if !values[needed].is_array() && values[needed].is_null() {
                    return Err(refused(&format!("sale.sale needs {needed}")));
                }
            }
            record.extend(
                json!({"state": "draft", "number": null, "shipments": [], "shipment_state": "none", "invoices": [], "invoice_state": "none", "lines": []})
                    .as_object()
                    .unwrap()
                    .clone(),
            );
        }
        self.models.entry(model.to_owned()).or_default().insert(id, record);
        self.put(model, id, values)?;
        Ok(id)
    }

    fn put(&mut self, model: &str, id: i64, values: &Value) -> Result<(), Value> {
        for (name, value) in values.as_object().unwrap() {
            let value = match value {
                Value::Array(commands) if name != "taxes" => {
                    let (of, back) = match (model, name.as_str()) {
                        ("sale.sale", "lines") => ("sale.line", "sale"),
                        ("party.party", "contact_mechanisms") => ("party.contact_mechanism", "party"),
                        ("party.party", "addresses") => ("party.address", "party"),
                        _ => return Err(failed(&format!("{model}.{name}"))),
                    };
                    json!(self.relate(id, of, back, commands)?)
                }
                value => value.clone(),
            };
            self.models.get_mut(model).unwrap().get_mut(&id).unwrap().insert(name.clone(), value);
        }
        if model == "sale.sale" {
            self.reckon(id);
        }
        Ok(())
    }

    fn relate(&mut self, id: i64, of: &str, back: &str, commands: &[Value]) -> Result<Vec<i64>, Value> {
        for command in commands {
            match command[0].as_str().unwrap() {
                "create" => {
                    for values in command[1].as_array().unwrap() {
                        let mut values = values.clone();
                        values[back] = json!(id);
                        self.create(of, &values)?;
                    }
                }
                "delete" => {
                    for gone in command[1].as_array().unwrap() {
                        self.models.get_mut(of).map(|records| records.remove(&gone.as_i64().unwrap()));
                    }
                }
                "write" => {
                    for changed in command[1].as_array().unwrap() {
                        self.put(of, changed.as_i64().unwrap(), &command[2])?;
                    }
                }
                other => return Err(failed(other)),
            }
        }
        let records = self.models.entry(of.to_owned()).or_default();
        Ok(records.iter().filter(|(_, record)| record.get(back) == Some(&json!(id))).map(|(id, _)| *id).collect())
    }

    /// What a sale comes to: rounded by line, taxed at nineteen per cent where a line has a tax.
    fn reckon(&mut self, id: i64) {
        let number = |value: &Value| value["decimal"].as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap();
        let (mut net, mut taxed) = (rust_decimal::Decimal::ZERO, rust_decimal::Decimal::ZERO);
        for line in self.models.get("sale.line").into_iter().flat_map(|lines| lines.values()) {
            if line["sale"] == json!(id) {
                let amount = (number(&line["unit_price"])
                    * rust_decimal::Decimal::from(line["quantity"].as_i64().unwrap()))
                .round_dp(2);
                net += amount;
                taxed += if line.contains_key("taxes") { amount } else { rust_decimal::Decimal::ZERO };
            }
        }
        let strategy = rust_decimal::RoundingStrategy::MidpointAwayFromZero;
        let tax = (taxed * rust_decimal::Decimal::new(19, 2)).round_dp_with_strategy(2, strategy);
        let total = json!({"__class__": "Decimal", "decimal": (net + tax).to_string()});
        self.models.get_mut("sale.sale").unwrap().get_mut(&id).unwrap().insert("total_amount".into(), total);
    }

    fn write(&mut self, model: &str, id: i64, values: &Value) -> Result<(), Value> {
        Self::check(model, values)?;
        if model == "sale.sale" && self.state(model, id)? != "draft" {
            return Err(refused("a sale is changed as a draft only"));
        }
        self.state(model, id)?;
        self.put(model, id, values)
    }

    fn state(&self, model: &str, id: i64) -> Result<String, Value> {
        let record = self.models.get(model).and_then(|records| records.get(&id));
        let record = record.ok_or_else(|| refused(&format!("there is no {model} {id}")))?;
        Ok(record.get("state").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    fn set(&mut self, model: &str, id: i64, values: Value) {
        let record = self.models.get_mut(model).unwrap().get_mut(&id).unwrap();
        record.extend(values.as_object().unwrap().clone());
    }

    fn step(&mut self, model: &str, command: &str, id: i64) -> Result<(), Value> {
        let state = self.state(model, id)?;
        match (model, command, state.as_str()) {
            ("sale.sale", "quote", "draft") => {
                self.set(model, id, json!({"state": "quotation", "number": format!("S{id}")}))
            }
            ("sale.sale", "draft", "quotation") => self.set(model, id, json!({"state": "draft"})),
            ("sale.sale", "confirm", "quotation") => {
                self.next += 1;
                let shipment = self.next;
                let record = json!({"id": shipment, "number": format!("L{shipment}"), "state": "waiting", "sale": id});
                self.models
                    .entry("stock.shipment.out".into())
                    .or_default()
                    .insert(shipment, record.as_object().unwrap().clone());
                self.set(
                    model,
                    id,
                    json!({"state": "processing", "shipments": [shipment], "shipment_state": "waiting"}),
                );
                // What is not shipped, such as shipping itself, is to be invoiced at once.
                self.next += 1;
                let invoice = self.next;
                let record = json!({"id": invoice, "number": null, "state": "draft", "sale": id});
                self.models
                    .entry("account.invoice".into())
                    .or_default()
                    .insert(invoice, record.as_object().unwrap().clone());
                self.set(model, id, json!({"invoices": [invoice], "invoice_state": "pending"}));
            }
            ("sale.sale", "cancel", "draft" | "quotation") => self.set(model, id, json!({"state": "cancelled"})),
            ("sale.sale", "delete", "draft") => drop(self.models.get_mut(model).unwrap().remove(&id)),
            ("stock.shipment.out", "cancel", "draft" | "waiting" | "assigned") => {
                let sale = self.models[model][&id]["sale"].as_i64().unwrap();
                self.set(model, id, json!({"state": "cancelled"}));
                self.set("sale.sale", sale, json!({"shipment_state": "exception"}));
            }
            ("account.invoice", "cancel", "draft" | "validated") => {
                let sale = self.models[model][&id]["sale"].as_i64().unwrap();
                self.set(model, id, json!({"state": "cancelled"}));
                self.set("sale.sale", sale, json!({"invoice_state": "exception"}));
            }
            _ => return Err(refused(&format!("{model} {id} is {state}: it does not take {command}"))),
        }
        Ok(())
    }

    fn dialogue(&mut self, kind: &str, step: &str, params: &[Value]) -> Result<Value, Value> {
        let things = match kind {
            "shipment" => "moves",
            "invoice" => "invoices",
            other => return Err(failed(other)),
        };
        match step {
            "create" => {
                self.wizards += 1;
                Ok(json!([self.wizards, "ask", "end"]))
            }
            "execute" if params[2] == "ask" => Ok(json!({"view": {"defaults": {format!("domain_{things}"): [9]}}})),
            "execute" if params[2] == "handle" => {
                if params[1]["ask"][format!("ignore_{things}")] != json!([9]) {
                    return Err(refused("everything has to be ignored or made again"));
                }
                self.handled(&format!("{kind}_state"));
                Ok(json!({}))
            }
            "delete" => Ok(Value::Null),
            other => Err(failed(other)),
        }
    }

    /// What is in exception is none any more, and a sale of which nothing is left to do is done.
    fn handled(&mut self, state: &str) {
        let none = |sale: &Map<String, Value>, state: &str| sale[state] == "none";
        for sale in self.models.get_mut("sale.sale").into_iter().flat_map(|sales| sales.values_mut()) {
            if sale[state] == "exception" {
                sale.insert(state.to_owned(), json!("none"));
                if none(sale, "shipment_state") && none(sale, "invoice_state") {
                    sale.insert("state".into(), json!("done"));
                }
            }
        }
    }
}

impl Tryton {
    pub fn new() -> Self {
        Self { server: Mutex::new(Server::stocked(&["TEE-M", "MUG"])), backup: Mutex::default() }
    }
}

impl Double for Tryton {
    fn adapter(&self) -> &'static str {
        "tryton"
    }

    fn settings(&self, url: &str) -> Value {
        json!({"url": url, "database": "shop", "user": "kontor", "rounding_product": "ROUNDING"})
    }

    fn secrets(&self) -> Value {
        json!({"password": PASSWORD})
    }

    fn secret_words(&self) -> Vec<String> {
        vec![PASSWORD.to_owned()]
    }

    fn answer(&self, request: &Received) -> (u16, String) {
        let (status, body) = self.server.lock().unwrap().answer(request);
        (status, if body.is_null() { String::new() } else { body.to_string() })
    }

    fn refuse(&self) -> (u16, String) {
        (200, json!({"id": 1, "error": refused("The product is not salable.")}).to_string())
    }

    fn holds(&self) -> Vec<Held> {
        let server = self.server.lock().unwrap();
        let pieces = |id: &i64| {
            let lines = server.models.get("sale.line").into_iter().flat_map(|lines| lines.values());
            let code = |line: &Map<String, Value>| {
                server.models["product.product"][&line["product"].as_i64().unwrap()]["code"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            };
            let own = lines
                .filter(|line| line["sale"] == json!(id) && !["SHIPPING", "ROUNDING"].contains(&code(line).as_str()));
            own.map(|line| line["quantity"].as_i64().unwrap()).sum()
        };
        let sales = server.models.get("sale.sale").into_iter().flatten();
        let held = |(id, sale): (&i64, &Map<String, Value>)| {
            let left = sale["shipments"].as_array().unwrap().iter().any(|shipment| {
                server.models["stock.shipment.out"][&shipment.as_i64().unwrap()]["state"] != "cancelled"
            });
            let state = sale["state"].as_str().unwrap();
            let cancelled = state == "cancelled" || state == "done" && !left;
            Held { order: sale["reference"].as_str().unwrap().to_owned(), cancelled, pieces: pieces(id) }
        };
        sales.map(held).collect()
    }

    fn is_final(&self) -> bool {
        true
    }

    fn forget_sessions(&self) {
        self.server.lock().unwrap().sessions.clear();
    }

    fn back_up(&self) {
        *self.backup.lock().unwrap() = self.server.lock().unwrap().clone();
    }

    fn go_back(&self) {
        // Numbers are given again to others, too.
        *self.server.lock().unwrap() = self.backup.lock().unwrap().clone();
    }

    fn change_total(&self, order: &str) {
        let mut server = self.server.lock().unwrap();
        let sale = server.models.get_mut("sale.sale").unwrap().values_mut().find(|sale| sale["reference"] == order);
        sale.unwrap().insert("total_amount".into(), json!({"__class__": "Decimal", "decimal": "1.23"}));
    }

    fn make_unknown(&self, key: &str) {
        let mut server = self.server.lock().unwrap();
        server.next += 1;
        let id = server.next;
        let sale = json!({"id": id, "state": "draft", "comment": key, "reference": "nobody", "shipments": [], "lines": [],
            "shipment_state": "none", "invoice_state": "none"});
        server.models.entry("sale.sale".into()).or_default().insert(id, sale.as_object().unwrap().clone());
    }
}

//! A far end that answers as Odoo does, over either of its protocols and as strictly: it refuses models, fields, methods and parameters
//! that it does not know, values of another type, steps that a sale can not take, and keys that it has not made; and it counts what
//! was made. Over JSON-RPC it is an Odoo 17 without carriers, over JSON-2 an Odoo 19 that locks sales which are confirmed.

use std::{collections::BTreeMap, sync::Mutex};

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::{
    conformance::{Double, Held},
    odoo_schema::{fields, holds, is_of, signature},
};
use crate::support::Received;

type Record = Map<String, Value>;

/// Why a request is not done: what it is called, what is said, and the status that JSON-2 has for it.
pub struct Refusal(&'static str, String, u16);

fn user_error(said: impl Into<String>) -> Refusal {
    Refusal("odoo.exceptions.UserError", said.into(), 422)
}

fn value_error(said: impl Into<String>) -> Refusal {
    Refusal("builtins.ValueError", said.into(), 500)
}

/// What a server keeps.
#[derive(Default, Clone)]
pub struct Server {
    /// Whether it is spoken to over JSON-2.
    modern: bool,
    models: BTreeMap<String, BTreeMap<i64, Record>>,
    /// What external ids stand for: a model and a record.
    external: BTreeMap<String, (String, i64)>,
    next: i64,
    /// What the user may not touch.
    pub forbidden: Option<&'static str>,
    /// What it calls now, where records are changed.
    pub now: String,
    /// How often each method that changes something was called.
    pub effects: BTreeMap<String, usize>,
}

const KEY: &str = "0d00c0ffee0d00c0ffee0d00c0ffee0d00c0ffee";
const USER: i64 = 6;

fn decimal(value: &Value) -> Decimal {
    value.to_string().parse().unwrap()
}

fn id_of(record: &Record) -> i64 {
    record["id"].as_i64().unwrap()
}

impl Server {
    fn stocked(modern: bool) -> Self {
        let mut server = Self { modern, next: 100, now: "2026-01-01 00:00:00".into(), ..Self::default() };
        for code in ["DE", "AT"] {
            server.put("res.country", json!({"code": code, "name": format!("The {code}")}));
        }
        server.put("res.currency", json!({"name": "EUR"}));
        server.put("res.currency", json!({"name": "USD"}));
        server.put("product.pricelist", json!({"name": "Web EUR"}));
        for (included, amount) in [(true, 19.0), (false, 19.0), (true, 7.0)] {
            server.put(
                "account.tax",
                json!({"name": format!("{amount}% {included}"), "amount": amount, "amount_type": "percent", "type_tax_use": "sale",
                    "price_include": included}),
            );
        }
        for (code, kind) in [
            ("TEE-M", "consu"),
            ("MUG", "consu"),
            ("SHIPPING", "service"),
            ("DISCOUNT", "service"),
            ("ROUNDING", "service"),
        ] {
            server.put(
                "product.product",
                json!({"default_code": code, "name": code, "type": kind, "active": true, "sale_ok": true}),
            );
        }
        server
    }

    /// Puts a record there, as somebody at the ERP does.
    pub fn put(&mut self, model: &str, record: Value) -> i64 {
        self.next += 1;
        let mut record = record.as_object().unwrap().clone();
        record.insert("id".into(), json!(self.next));
        record.insert("write_date".into(), json!(self.now));
        record.insert("create_date".into(), json!(self.now));
        self.models.entry(model.to_owned()).or_default().insert(self.next, record);
        self.next
    }

    pub fn records(&self, model: &str) -> Vec<Record> {
        self.models.get(model).into_iter().flat_map(|records| records.values().cloned()).collect()
    }

    fn set(&mut self, model: &str, id: i64, values: Value) {
        let now = json!(self.now);
        let record = self.models.get_mut(model).unwrap().get_mut(&id).unwrap();
        record.extend(values.as_object().unwrap().clone());
        record.insert("write_date".into(), now);
    }

    /// One of the two protocols, unwrapped: an answer's status and body.
    fn answer(&mut self, request: &Received) -> (u16, Value) {
        let path = request.head.split(' ').nth(1).unwrap_or_default().to_owned();
        if !request.head.starts_with("POST ") {
            return (405, Value::Null);
        }
        match (self.modern, path.strip_prefix("/json/2/").and_then(|rest| rest.split_once('/'))) {
            (true, Some((model, method))) => match self.json_2(request, model, method) {
                Ok(result) => (200, result),
                Err(Refusal(name, said, status)) => {
                    let told = json!({"name": name, "message": said, "arguments": [said], "context": {}, "debug": "Traceback …"});
                    (status, told)
                }
            },
            (false, None) if path == "/jsonrpc" => {
                let body = request.json();
                match self.rpc(&body) {
                    // What is nothing is left out.
                    Ok(Value::Null) => (200, json!({"jsonrpc": "2.0", "id": body["id"]})),
                    Ok(result) => (200, json!({"jsonrpc": "2.0", "id": body["id"], "result": result})),
                    Err(refusal) => (200, told(&refusal)),
                }
            }
            _ => (404, Value::Null),
        }
    }

    fn json_2(&mut self, request: &Received, model: &str, method: &str) -> Result<Value, Refusal> {
        if request.header("authorization") != format!("bearer {KEY}") {
            return Err(Refusal("werkzeug.exceptions.Unauthorized", "Invalid apikey".into(), 401));
        }
        if request.header("x-odoo-database") != "shop" {
            return Err(Refusal("werkzeug.exceptions.NotFound", "No database is selected".into(), 404));
        }
        let mut named = request.json().as_object().cloned().unwrap_or_default();
        let context = named.remove("context").unwrap_or_else(|| json!({}));
        let ids = named.remove("ids");
        self.call(model, method, ids, named, &context)
    }

    fn rpc(&mut self, body: &Value) -> Result<Value, Refusal> {
        let denied = || Refusal("odoo.exceptions.AccessDenied", "Access Denied".into(), 403);
        let params = &body["params"];
        if body["jsonrpc"] != "2.0" || body["method"] != "call" {
            return Err(value_error("no JSON-RPC"));
        }
        let args = params["args"].as_array().cloned().unwrap_or_default();
        if args.first() != Some(&json!("shop")) {
            let said = "connection to server failed: FATAL: database \"x\" does not exist";
            return Err(Refusal("psycopg2.OperationalError", said.into(), 500));
        }
        match (params["service"].as_str(), params["method"].as_str()) {
            (Some("common"), Some("authenticate")) => match args[1] == "kontor@example.com" && args[2] == KEY {
                true => Ok(json!(USER)),
                false => Ok(json!(false)),
            },
            (Some("object"), Some("execute_kw")) => {
                if args[1] != USER || args[2] != KEY {
                    return Err(denied());
                }
                let (model, method) = (args[3].as_str().unwrap(), args[4].as_str().unwrap());
                let mut given = args[5].as_array().cloned().unwrap_or_default();
                let context = args[6].get("context").cloned().unwrap_or_else(|| json!({}));
                let (of_records, names) =
                    signature(model, method).ok_or_else(|| value_error(format!("no method {method}")))?;
                let ids = (of_records && !given.is_empty()).then(|| given.remove(0));
                if given.len() > names.len() {
                    return Err(Refusal("builtins.TypeError", "too many arguments".into(), 500));
                }
                let named = names.iter().map(|name| (*name).to_owned()).zip(given).collect();
                self.call(model, method, ids, named, &context)
            }
            _ => Err(value_error("no such service")),
        }
    }

    fn call(
        &mut self,
        model: &str,
        method: &str,
        ids: Option<Value>,
        named: Record,
        context: &Value,
    ) -> Result<Value, Refusal> {
        let not_found = |said: String| Refusal("werkzeug.exceptions.NotFound", said, 404);
        fields(model, self.modern).ok_or_else(|| match self.modern {
            true => not_found(format!("the model '{model}' does not exist")),
            false => user_error(format!("Object {model} doesn't exist")),
        })?;
        let unknown = || not_found(format!("The method '{model}.{method}' does not exist"));
        let (of_records, names) = signature(model, method).ok_or_else(unknown)?;
        if self.forbidden == Some(model) {
            let said = format!("You are not allowed to access '{model}' records.");
            return Err(Refusal("odoo.exceptions.AccessError", said, 403));
        }
        let odd = |said: &str| Refusal("werkzeug.exceptions.UnprocessableEntity", said.to_owned(), 422);
        if ids.is_some() != of_records || !context.is_object() {
            return Err(odd("called with ids, or without, or with an odd context"));
        }
        if let Some(name) = named.keys().find(|name| !names.contains(&name.as_str())) {
            return Err(odd(&format!("got an unexpected keyword argument '{name}'")));
        }
        let ids: Vec<i64> = ids.iter().flat_map(|ids| ids.as_array().unwrap()).map(|id| id.as_i64().unwrap()).collect();
        for id in &ids {
            if !self.models.get(model).is_some_and(|records| records.contains_key(id)) {
                let said = format!("Record does not exist or has been deleted. (Record: {model}({id},), User: {USER})");
                return Err(Refusal("odoo.exceptions.MissingError", said, 404));
            }
        }
        if !matches!(method, "search_read" | "search_count" | "fields_get" | "context_get") {
            *self.effects.entry(format!("{model}.{method}")).or_default() += 1;
        }
        match method {
            "context_get" => Ok(json!({"lang": "en_US", "tz": "Europe/Berlin", "uid": USER})),
            "fields_get" => {
                let known = fields(model, self.modern).unwrap();
                let asked = named["allfields"].as_array().unwrap();
                let has = |name: &Value| known.iter().any(|(known, _)| name == known.as_str());
                Ok(Value::Object(
                    asked
                        .iter()
                        .filter(|name| has(name))
                        .map(|name| (name.as_str().unwrap().into(), json!({"type": "x"})))
                        .collect(),
                ))
            }
            "search_count" => Ok(json!(self.found(model, &named["domain"])?.len())),
            "search_read" => self.search_read(model, &named),
            "load" => Ok(self.load(model, &named)),
            "create" => {
                let all = named["vals_list"].as_array().unwrap();
                let made: Result<Vec<i64>, Refusal> = all.iter().map(|values| self.create(model, values)).collect();
                made.map(|ids| json!(ids))
            }
            "write" => {
                for id in ids {
                    self.write(model, id, &named["vals"])?;
                }
                Ok(json!(true))
            }
            step => self.step(step, ids[0], context),
        }
    }

    /// The type of a field.
    fn kind(&self, model: &str, name: &str) -> Result<char, Refusal> {
        let known = fields(model, self.modern).unwrap();
        let found = known.iter().find(|(known, _)| known == name);
        found.map(|(_, kind)| *kind).ok_or_else(|| value_error(format!("Invalid field '{name}' on '{model}'")))
    }

    fn found(&self, model: &str, domain: &Value) -> Result<Vec<&Record>, Refusal> {
        let terms = domain.as_array().ok_or_else(|| value_error("the domain is no list"))?;
        for clause in terms.iter().filter(|term| term.is_array()) {
            let (name, value) = (clause[0].as_str().unwrap_or_default(), &clause[2]);
            let kind = self.kind(model, name)?;
            let kind = if kind == 'M' || kind == 'm' { 'i' } else { kind };
            let several = matches!(clause[1].as_str(), Some("in" | "not in"));
            let fits = match value {
                Value::Array(values) if several => values.iter().all(|value| is_of(kind, value)),
                value => !several && is_of(kind, value),
            };
            if !fits {
                return Err(value_error(format!("{model}.{name} is not compared with {value}")));
            }
        }
        let hides = fields(model, self.modern).unwrap().iter().any(|(name, _)| name == "active")
            && !terms.iter().any(|term| term[0] == "active");
        let records = self.models.get(model).into_iter().flat_map(|records| records.values());
        let mut found = Vec::new();
        for record in records.filter(|record| !hides || record.get("active") != Some(&json!(false))) {
            let mut rest = terms.as_slice();
            let mut fits = true;
            while !rest.is_empty() {
                fits &= holds(record, &mut rest);
            }
            if fits {
                found.push(record);
            }
        }
        Ok(found)
    }

    fn search_read(&self, model: &str, named: &Record) -> Result<Value, Refusal> {
        let mut found = self.found(model, &named["domain"])?;
        match named["order"].as_str() {
            Some("id") => found.sort_by_key(|record| id_of(record)),
            Some("write_date, id") => {
                found.sort_by_key(|record| (record["write_date"].as_str().unwrap().to_owned(), id_of(record)));
            }
            other => return Err(value_error(format!("no such order: {other:?}"))),
        }
        found.truncate(usize::try_from(named["limit"].as_i64().unwrap()).unwrap());
        let mut shown = Vec::new();
        for record in found {
            let mut one = json!({"id": record["id"]}).as_object().unwrap().clone();
            for name in named["fields"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
                let kind = self.kind(model, name)?;
                let value = record.get(name).cloned().unwrap_or_else(|| match kind.to_ascii_lowercase() {
                    'm' => json!([]),
                    _ => json!(false),
                });
                let value = match (kind.to_ascii_lowercase(), &value) {
                    ('o', Value::Number(id)) => json!([id, self.name_of(id.as_i64().unwrap())]),
                    _ => value,
                };
                one.insert(name.to_owned(), value);
            }
            shown.push(Value::Object(one));
        }
        Ok(Value::Array(shown))
    }

    fn name_of(&self, id: i64) -> String {
        let found = self.models.values().find_map(|records| records.get(&id));
        found.and_then(|record| record.get("name")?.as_str()).unwrap_or_default().to_owned()
    }

    fn check(&self, model: &str, values: &Value) -> Result<(), Refusal> {
        for (name, value) in values.as_object().ok_or_else(|| value_error("no values"))? {
            let kind = self.kind(model, name)?;
            if kind.is_ascii_uppercase() || !is_of(kind, value) {
                return Err(value_error(format!("{model}.{name} is not written as {value}")));
            }
            if kind == 'o'
                && value.is_i64()
                && !self.models.values().any(|records| records.contains_key(&value.as_i64().unwrap()))
            {
                return Err(Refusal("odoo.exceptions.MissingError", format!("{name} {value} does not exist"), 404));
            }
        }
        Ok(())
    }

    fn create(&mut self, model: &str, values: &Value) -> Result<i64, Refusal> {
        self.check(model, values)?;
        let needed: &[&str] = match model {
            "sale.order" => &["partner_id"],
            "sale.order.line" => &["product_id", "product_uom_qty"],
            "res.partner" => &["name"],
            _ => return Err(user_error(format!("nobody makes a {model} here"))),
        };
        if let Some(name) = needed.iter().find(|name| values.get(**name).is_none()) {
            let said = format!("Missing required value for the field '{name}' on '{model}'");
            return Err(Refusal("odoo.exceptions.ValidationError", said, 422));
        }
        let mut fresh = match model {
            "sale.order" => {
                let euros = self.records("res.currency").iter().find(|one| one["name"] == "EUR").map(id_of).unwrap();
                json!({"state": "draft", "order_line": [], "invoice_ids": [], "picking_ids": [], "locked": false, "amount_total": 0.0,
                    "currency_id": euros})
            }
            "res.partner" => json!({"active": true}),
            _ => json!({}),
        };
        if model == "sale.order" {
            fresh["name"] = json!(format!("S{:05}", self.next + 1));
        }
        let id = self.put(model, fresh);
        self.store(model, id, values)?;
        Ok(id)
    }

    fn write(&mut self, model: &str, id: i64, values: &Value) -> Result<(), Refusal> {
        self.check(model, values)?;
        let state = self.models[model][&id].get("state").cloned().unwrap_or_default();
        if model == "sale.order" && values.get("order_line").is_some() && state != "draft" {
            return Err(user_error("Once a sales order is confirmed, you can't remove one of its lines."));
        }
        self.store(model, id, values)
    }

    fn store(&mut self, model: &str, id: i64, values: &Value) -> Result<(), Refusal> {
        for (name, value) in values.as_object().unwrap() {
            let value = match (name.as_str(), value) {
                ("order_line", Value::Array(commands)) => self.relate(id, commands)?,
                (_, Value::Array(commands)) => match commands.as_slice() {
                    [command]
                        if command[0] == 6
                            && command[2].as_array().is_some_and(|ids| ids.iter().all(Value::is_i64)) =>
                    {
                        command[2].clone()
                    }
                    _ => return Err(value_error(format!("{name} is not a list of commands: {value}"))),
                },
                (_, value) => value.clone(),
            };
            self.set(model, id, json!({name: value}));
        }
        if let Some(email) = values.get("email").and_then(Value::as_str) {
            self.set(model, id, json!({"email_normalized": email.to_lowercase()}));
        }
        if model == "sale.order" {
            self.reckon(id);
        }
        Ok(())
    }

    fn relate(&mut self, sale: i64, commands: &[Value]) -> Result<Value, Refusal> {
        for command in commands {
            match command[0].as_i64() {
                Some(5) => {
                    self.models.entry("sale.order.line".into()).or_default().retain(|_, line| line["order_id"] != sale)
                }
                Some(0) if command[1] == 0 => {
                    let mut values = command[2].clone();
                    values["order_id"] = json!(sale);
                    self.create("sale.order.line", &values)?;
                }
                _ => return Err(value_error(format!("no such command: {command}"))),
            }
        }
        Ok(self.lines(sale).iter().map(|line| line["id"].clone()).collect())
    }

    fn lines(&self, sale: i64) -> Vec<Record> {
        self.records("sale.order.line").into_iter().filter(|line| line["order_id"] == sale).collect()
    }

    /// What a sale comes to: rounded by line, with what each tax adds where it is not within the price.
    fn reckon(&mut self, id: i64) {
        let taxes = self.records("account.tax");
        let mut total = Decimal::ZERO;
        for line in self.lines(id) {
            let mut amount = (decimal(&line["price_unit"]) * decimal(&line["product_uom_qty"])).round_dp(2);
            let of = line[if self.modern { "tax_ids" } else { "tax_id" }].as_array().unwrap().clone();
            for tax in taxes.iter().filter(|tax| of.contains(&tax["id"]) && tax["price_include"] == false) {
                amount += (amount * decimal(&tax["amount"]) / Decimal::ONE_HUNDRED).round_dp(2);
            }
            total += amount;
        }
        let total: Value = serde_json::from_str(&total.to_string()).unwrap();
        self.set("sale.order", id, json!({"amount_total": total}));
    }

    /// A row of an import, of which errors are told as messages.
    fn load(&mut self, model: &str, named: &Record) -> Value {
        let failed =
            |said: String| json!({"ids": false, "messages": [{"type": "error", "message": said, "record": 0}]});
        let (columns, rows) = (named["fields"].as_array().unwrap(), named["data"].as_array().unwrap());
        let [row] = rows.as_slice() else { return failed("one row at a time".into()) };
        let (mut values, mut external) = (json!({}), None);
        for (column, value) in columns.iter().zip(row.as_array().unwrap()) {
            let (Some(column), Some(text)) = (column.as_str(), value.as_str()) else {
                return failed(format!("{column} is not loaded as {value}"));
            };
            match (column, column.strip_suffix("/.id")) {
                ("id", _) if text.split('.').count() == 2 => external = Some(text.to_owned()),
                (_, Some(field)) => values[field] = text.parse::<i64>().map_or(json!("odd"), Value::from),
                _ => values[column] = json!(text),
            }
        }
        let Some(external) = external else { return failed("no external id".into()) };
        let known = self.external.get(&external).cloned();
        if let Some((of, _)) = known.as_ref().filter(|(of, _)| of != model) {
            return failed(format!("the external id {external} is one of {of}"));
        }
        let there =
            self.models.get(model).map(|records| records.keys().copied().collect::<Vec<_>>()).unwrap_or_default();
        let loaded = match known.filter(|(_, id)| there.contains(id)) {
            Some((_, id)) => self.write(model, id, &values).map(|()| id),
            None => self.create(model, &values),
        };
        match loaded {
            Ok(id) => {
                self.external.insert(external, (model.to_owned(), id));
                json!({"ids": [id], "messages": [], "nextrow": 0})
            }
            Err(Refusal(_, said, _)) => failed(said),
        }
    }

    fn step(&mut self, step: &str, id: i64, context: &Value) -> Result<Value, Refusal> {
        const MODEL: &str = "sale.order";
        let sale = self.models[MODEL][&id].clone();
        let state = sale["state"].as_str().unwrap().to_owned();
        match (step, state.as_str()) {
            ("action_confirm", "draft") if self.lines(id).is_empty() => return Err(user_error("a line is missing")),
            ("action_confirm", "draft") => {
                let picking = self.deliver(id);
                self.set(MODEL, id, json!({"state": "sale", "locked": self.modern, "picking_ids": [picking]}));
            }
            ("action_unlock", "sale") => self.set(MODEL, id, json!({"locked": false})),
            ("action_cancel", _) if sale["locked"] == true => {
                return Err(user_error("You cannot cancel a locked order. Please unlock it first."));
            }
            // Somebody would be asked first.
            ("action_cancel", "sale") if !self.modern && context["disable_cancel_warning"] != true => {
                return Ok(json!({"type": "ir.actions.act_window", "res_model": "sale.order.cancel"}));
            }
            ("action_cancel", _) => {
                for picking in self.records("stock.picking") {
                    if picking["sale_id"] == id && picking["state"] != "done" {
                        self.set("stock.picking", id_of(&picking), json!({"state": "cancel"}));
                    }
                }
                self.set(MODEL, id, json!({"state": "cancel"}));
            }
            _ => return Err(user_error("Some orders are not in a state requiring confirmation.")),
        }
        Ok(json!(true))
    }

    /// The delivery of a sale that is confirmed.
    fn deliver(&mut self, sale: i64) -> i64 {
        let picking = self
            .put("stock.picking", json!({"state": "assigned", "sale_id": sale, "picking_type_id.code": "outgoing"}));
        self.set("stock.picking", picking, json!({"name": format!("WH/OUT/{picking:05}")}));
        for line in self.lines(sale) {
            let product = line["product_id"].as_i64().unwrap();
            if self.models["product.product"][&product]["type"] == "consu" {
                self.put(
                    "stock.move",
                    json!({"picking_id": picking, "product_id": product, "sale_line_id": line["id"], "state": "assigned",
                        "quantity": 0.0}),
                );
            }
        }
        picking
    }

    /// The sale of an order of ours.
    pub fn sale(&self, order: &Value) -> Record {
        let found = self.records("sale.order").into_iter().find(|sale| sale["origin"] == order["id"]);
        found.unwrap()
    }

    /// The warehouse sends all of a sale.
    pub fn ship(&mut self, order: &Value, carrier: Option<(&str, &str)>) {
        let sale = id_of(&self.sale(order));
        let picking = self.records("stock.picking").into_iter().find(|picking| picking["sale_id"] == sale).unwrap();
        let done = json!({"state": "done", "date_done": self.now});
        self.set("stock.picking", id_of(&picking), done);
        if let Some((name, number)) = carrier {
            let carrier = self.put("delivery.carrier", json!({"name": name}));
            self.set("stock.picking", id_of(&picking), json!({"carrier_id": carrier, "carrier_tracking_ref": number}));
        }
        for one in self.records("stock.move").iter().filter(|one| one["picking_id"] == picking["id"]) {
            let line = &self.models["sale.order.line"][&one["sale_line_id"].as_i64().unwrap()];
            let done = json!({"state": "done", "quantity": line["product_uom_qty"].as_f64()});
            self.set("stock.move", id_of(one), done);
        }
    }

    /// The books invoice a sale: the invoice's number.
    pub fn invoice(&mut self, order: &Value) -> String {
        let sale = self.sale(order);
        let name = format!("INV/2026/{:05}", self.next + 1);
        let day = self.now[..10].to_owned();
        let invoice = self.put(
            "account.move",
            json!({"name": name, "state": "posted", "move_type": "out_invoice", "payment_state": "not_paid", "invoice_date": day,
                "amount_total": sale["amount_total"], "currency_id": sale["currency_id"]}),
        );
        self.set("sale.order", id_of(&sale), json!({"invoice_ids": [invoice]}));
        name
    }
}

/// An error in JSON-RPC's way of telling.
fn told(Refusal(name, said, _): &Refusal) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 200, "message": "Odoo Server Error",
        "data": {"name": name, "message": said, "arguments": [said], "context": {}, "debug": "Traceback …"}}})
}

/// The double.
pub struct Odoo {
    pub server: Mutex<Server>,
    backup: Mutex<Server>,
    modern: bool,
}

impl Odoo {
    /// One that is spoken to over JSON-2, or over JSON-RPC.
    pub fn new(modern: bool) -> Self {
        Self { server: Mutex::new(Server::stocked(modern)), backup: Mutex::default(), modern }
    }
}

impl Double for Odoo {
    fn adapter(&self) -> &'static str {
        "odoo"
    }

    fn settings(&self, url: &str) -> Value {
        match self.modern {
            true => json!({"url": url, "database": "shop", "protocol": "json_2"}),
            false => json!({"url": url, "database": "shop", "protocol": "json_rpc", "user": "kontor@example.com"}),
        }
    }

    fn secrets(&self) -> Value {
        json!({"api_key": KEY})
    }

    fn secret_words(&self) -> Vec<String> {
        vec![KEY.to_owned()]
    }

    fn answer(&self, request: &Received) -> (u16, String) {
        let (status, body) = self.server.lock().unwrap().answer(request);
        (status, if body.is_null() && status != 200 { String::new() } else { body.to_string() })
    }

    fn refuse(&self) -> (u16, String) {
        let refusal = user_error("The product can not be sold.");
        match self.modern {
            true => (422, json!({"name": refusal.0, "message": refusal.1, "arguments": [], "context": {}}).to_string()),
            false => (200, told(&refusal).to_string()),
        }
    }

    fn holds(&self) -> Vec<Held> {
        let server = self.server.lock().unwrap();
        let held = |sale: &Record| {
            let is_good = |line: &Record| {
                server.models["product.product"][&line["product_id"].as_i64().unwrap()]["type"] == "consu"
            };
            let lines = server.lines(id_of(sale));
            Held {
                order: sale["client_order_ref"].as_str().unwrap_or_default().to_owned(),
                cancelled: sale["state"] == "cancel",
                pieces: lines
                    .iter()
                    .filter(|line| is_good(line))
                    .map(|line| line["product_uom_qty"].as_i64().unwrap())
                    .sum(),
            }
        };
        server.records("sale.order").iter().map(held).collect()
    }

    fn is_final(&self) -> bool {
        true
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
        let sale = server.records("sale.order").into_iter().find(|sale| sale["client_order_ref"] == order).unwrap();
        server.set("sale.order", id_of(&sale), json!({"amount_total": 1.23}));
    }

    fn make_unknown(&self, key: &str) {
        let mut server = self.server.lock().unwrap();
        // Made in the middle of whatever stretch is asked for.
        let before = std::mem::replace(&mut server.now, "2026-03-02 09:30:00".into());
        let sale = json!({"name": "S99999", "state": "draft", "origin": key, "client_order_ref": "", "order_line": [], "invoice_ids": [], "amount_total": 1.0});
        server.put("sale.order", sale);
        server.now = before;
    }
}

//! Odoo's two protocols: JSON-RPC and JSON-2, calls over either, and what its errors mean.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use serde_json::{Map, Value, json};
use url::Url;

use super::{Protocol, Secrets, Settings};
use crate::{
    connectors::{
        ports::Target,
        wire::{Answer, Request, Stop, Wire},
    },
    error::Error,
    http::seal,
    kernel::stored,
};

/// So many records are asked for at once.
const AT_ONCE: usize = 1000;

/// What is known of a server: it is asked once by each process, and again after anything has gone wrong.
#[derive(Debug, Clone, Default)]
struct Known {
    /// The number of the user, as JSON-RPC wants it with every call.
    user: Option<i64>,
    /// Which of the fields that not every Odoo has this one has, by model.
    fields: BTreeMap<&'static str, BTreeSet<String>>,
}

/// What is known of servers, by what they are spoken to with.
static KNOWN: Mutex<Option<HashMap<String, Known>>> = Mutex::new(None);

fn remembered(key: &str) -> Known {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.as_ref().and_then(|known| known.get(key).cloned()).unwrap_or_default()
}

fn remember(key: &str, what: &Known) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.get_or_insert_default().insert(key.to_owned(), what.clone());
}

/// The fields that depend on the version and on what is installed.
fn optional(model: &str) -> &'static [&'static str] {
    match model {
        "sale.order" => &["locked", "picking_ids"],
        "sale.order.line" => &["tax_id", "tax_ids"],
        "stock.picking" => &["carrier_id", "carrier_tracking_ref"],
        _ => &[],
    }
}

/// A call of a method of a model's.
pub(super) struct Call<'c> {
    pub model: &'c str,
    pub method: &'c str,
    /// The records that it is about, where it is about some.
    pub ids: Option<&'c [i64]>,
    /// Its parameters in their order, from the first on: JSON-RPC tells them by their place, JSON-2 by their names.
    pub args: Vec<(&'static str, Value)>,
}

impl<'c> Call<'c> {
    /// A call that is about no record.
    pub(super) const fn of_model(model: &'c str, method: &'c str, args: Vec<(&'static str, Value)>) -> Self {
        Self { model, method, ids: None, args }
    }
}

/// A talk with an Odoo server.
pub(super) struct Odoo<'a> {
    pub wire: Wire<'a>,
    /// Whether what is sent and answered is not kept.
    pub quiet: bool,
    /// Whether several sales were found that could be the order's.
    pub doubtful: bool,
    base: Url,
    settings: Settings,
    secrets: Secrets,
    key: String,
    known: Known,
    products: BTreeMap<String, Value>,
    carriers: BTreeMap<String, Value>,
}

impl<'a> Odoo<'a> {
    pub(super) fn new(to: Target<'a>) -> Result<Self, Stop> {
        let settings: Settings = stored::from_value(to.settings).map_err(Error::from)?;
        let secrets: Secrets = stored::from_value(to.secrets).map_err(Error::from)?;
        let base = super::base_url(&settings)?;
        let user = settings.user.as_deref().unwrap_or_default();
        let of = format!("{:?}\n{base}\n{}\n{user}\n{}", settings.protocol, settings.database, secrets.api_key);
        let key = seal::sha256_hex(of.as_bytes());
        let table = |name: &str| to.mapping.tables.get(name).cloned().unwrap_or_default();
        let (products, carriers) = (table("products"), table("carriers"));
        let known = remembered(&key);
        Ok(Self {
            wire: Wire::new(to),
            quiet: false,
            doubtful: false,
            base,
            settings,
            secrets,
            key,
            known,
            products,
            carriers,
        })
    }

    /// The settings.
    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What we call the product of a code: the other way round through the table of products.
    pub(super) fn sku_of(&self, code: &str) -> String {
        let known = self.products.iter().find(|(_, theirs)| theirs.as_str() == Some(code));
        known.map_or_else(|| code.to_owned(), |(sku, _)| sku.clone())
    }

    /// What we call a carrier of Odoo's: what the table of carriers says, else as it is called there.
    pub(super) fn carrier_of(&self, name: &str) -> String {
        let known = self.carriers.get(name).or_else(|| self.carriers.get("*")).and_then(Value::as_str);
        known.unwrap_or(name).to_owned()
    }

    fn context(&self) -> Map<String, Value> {
        let mut context = Map::new();
        if let Some(language) = &self.settings.language {
            context.insert("lang".into(), json!(language));
        }
        if let Some(company) = self.settings.company {
            context.insert("allowed_company_ids".into(), json!([company]));
        }
        context
    }

    async fn post(&mut self, path: &str, headers: Vec<(&'static str, String)>, body: Value) -> Result<Answer, Stop> {
        let url = super::endpoint(&self.base, path)?;
        let method = reqwest::Method::POST;
        let request = Request { method, url, headers, body: Some(body), secret: self.quiet };
        self.wire.send(&request).await
    }

    /// A call of one of JSON-RPC's services.
    async fn service(&mut self, service: &str, method: &str, args: Value) -> Result<Value, Stop> {
        let params = json!({"service": service, "method": method, "args": args});
        let body = json!({"jsonrpc": "2.0", "method": "call", "id": 1, "params": params});
        let answer = self.post("jsonrpc", Vec::new(), body).await?;
        if answer.status.as_u16() == 404 {
            return Err(Stop::outage(
                "it answered 404: there is no Odoo at this address, or one without JSON-RPC: set `protocol` to `json_2`",
            ));
        }
        self.wire.succeeded(&answer)?;
        let mut document = answer.json()?;
        if let Some(error) = document.get("error") {
            return Err(rpc_meaning(error));
        }
        if document.get("jsonrpc").is_none() {
            return Err(Stop::outage("its answer is not one of Odoo's"));
        }
        // A method that gives nothing is answered without a result.
        Ok(document.get_mut("result").map(Value::take).unwrap_or_default())
    }

    /// The number of the user, as whom JSON-RPC is spoken.
    async fn user(&mut self) -> Result<i64, Stop> {
        if let Some(user) = self.known.user {
            return Ok(user);
        }
        let login = self.settings.user.clone().unwrap_or_default();
        let args = json!([self.settings.database, login, self.secrets.api_key, {}]);
        let found = self.service("common", "authenticate", args).await?;
        let user = found.as_i64().ok_or_else(|| {
            Stop::outage(format!(
                "Odoo does not know the user `{login}` in `{}`, or not with this key: make a new API key in the user's preferences, \
                 under account security, and give it as `api_key`",
                self.settings.database
            ))
        })?;
        self.known.user = Some(user);
        remember(&self.key, &self.known);
        Ok(user)
    }

    async fn rpc(&mut self, call: &Call<'_>, context: Map<String, Value>) -> Result<Value, Stop> {
        let user = self.user().await?;
        let of = call.ids.map(|ids| json!(ids));
        let args: Vec<Value> = of.into_iter().chain(call.args.iter().map(|(_, value)| value.clone())).collect();
        let (database, key) = (self.settings.database.clone(), self.secrets.api_key.clone());
        let args = json!([database, user, key, call.model, call.method, args, {"context": context}]);
        self.service("object", "execute_kw", args).await
    }

    async fn json_2(&mut self, call: &Call<'_>, context: Map<String, Value>) -> Result<Value, Stop> {
        let mut body = Map::new();
        if let Some(ids) = call.ids {
            body.insert("ids".into(), json!(ids));
        }
        body.extend(call.args.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        body.insert("context".into(), Value::Object(context));
        let headers = vec![
            ("authorization", format!("bearer {}", self.secrets.api_key)),
            ("x-odoo-database", self.settings.database.clone()),
        ];
        let path = format!("json/2/{}/{}", call.model, call.method);
        let answer = self.post(&path, headers, Value::Object(body)).await?;
        if !answer.status.is_success() {
            let told: Option<Value> = serde_json::from_slice(&answer.body).ok();
            return match told.filter(|told| told.get("name").is_some_and(Value::is_string)) {
                Some(told) => Err(meaning(&told)),
                None if answer.status.as_u16() == 404 => Err(Stop::outage(
                    "it answered 404: check the address and the database; an Odoo before version 19 has no JSON-2: set `protocol` to \
                     `json_rpc`",
                )),
                None => Err(self.wire.succeeded(&answer).err().unwrap_or_else(|| Stop::outage("it answered oddly"))),
            };
        }
        answer.json()
    }

    /// Calls a method.
    pub(super) async fn call(&mut self, call: Call<'_>) -> Result<Value, Stop> {
        self.call_with(call, Map::new()).await
    }

    /// The same with more in its context.
    pub(super) async fn call_with(&mut self, call: Call<'_>, more: Map<String, Value>) -> Result<Value, Stop> {
        let mut context = self.context();
        context.extend(more);
        let gave = match self.settings.protocol {
            Protocol::JsonRpc => self.rpc(&call, context).await,
            Protocol::Json2 => self.json_2(&call, context).await,
        };
        if gave.is_err() {
            // It may be another Odoo than it was: it has gone on to another version, or back to a backup.
            self.known = Known::default();
            remember(&self.key, &self.known);
        }
        gave
    }

    /// Whether the server has a field that not every Odoo has.
    pub(super) async fn has(&mut self, model: &'static str, field: &str) -> Result<bool, Stop> {
        if let Some(fields) = self.known.fields.get(model) {
            return Ok(fields.contains(field));
        }
        let args = vec![("allfields", json!(optional(model))), ("attributes", json!(["type"]))];
        let told = self.call(Call::of_model(model, "fields_get", args)).await?;
        let fields = told.as_object().ok_or_else(|| Stop::outage("Odoo told of its fields in an odd way"))?;
        let fields: BTreeSet<String> = fields.keys().cloned().collect();
        let has = fields.contains(field);
        self.known.fields.insert(model, fields);
        remember(&self.key, &self.known);
        Ok(has)
    }

    /// The fields of the records of a model that a domain finds, in the order of their ids.
    pub(super) async fn read(&mut self, model: &str, domain: Value, fields: &[&str]) -> Result<Vec<Value>, Stop> {
        let (mut all, mut from) = (Vec::new(), domain.clone());
        loop {
            let page = self.page(model, from, fields, (AT_ONCE, "id")).await?;
            let last = page.last().and_then(|record| record.get("id")).and_then(Value::as_i64);
            let last = last.filter(|_| page.len() == AT_ONCE);
            all.extend(page);
            let Some(last) = last else { return Ok(all) };
            // From behind the last one: what is written meanwhile moves none of them.
            from = domain.clone();
            if let Some(terms) = from.as_array_mut() {
                terms.push(json!(["id", ">", last]));
            }
        }
    }

    /// So many of the records of a model that a domain finds, in an order.
    pub(super) async fn page(
        &mut self,
        model: &str,
        domain: Value,
        fields: &[&str],
        (limit, order): (usize, &str),
    ) -> Result<Vec<Value>, Stop> {
        let args = vec![
            ("domain", domain),
            ("fields", json!(fields)),
            ("offset", json!(0)),
            ("limit", json!(limit)),
            ("order", json!(order)),
        ];
        match self.call(Call::of_model(model, "search_read", args)).await? {
            Value::Array(found) => Ok(found),
            _ => Err(Stop::outage("Odoo answered a search with something else than a list")),
        }
    }

    /// Makes a record that has an external id, or changes the one that has it already: of two who make it at once each gets the
    /// same. Gives the id.
    pub(super) async fn load(&mut self, model: &str, row: Vec<(String, String)>) -> Result<i64, Stop> {
        let (fields, values): (Vec<String>, Vec<String>) = row.into_iter().unzip();
        let args = vec![("fields", json!(fields)), ("data", json!([values]))];
        let loaded = self.call(Call::of_model(model, "load", args)).await?;
        if let Some(id) = loaded.pointer("/ids/0").and_then(Value::as_i64) {
            return Ok(id);
        }
        let messages = loaded.get("messages").and_then(Value::as_array).cloned().unwrap_or_default();
        let said: Vec<&str> = messages.iter().filter_map(|message| message.get("message")?.as_str()).collect();
        match said.is_empty() {
            true => Err(Stop::outage("Odoo made a record and did not tell its id")),
            false => Err(not_loaded(&said.join(" "))),
        }
    }

    /// Makes one record, and gives its id.
    pub(super) async fn create(&mut self, model: &str, values: Value) -> Result<i64, Stop> {
        let made = self.call(Call::of_model(model, "create", vec![("vals_list", json!([values]))])).await?;
        made.get(0).and_then(Value::as_i64).ok_or_else(|| Stop::outage("Odoo made a record and did not tell its id"))
    }

    /// Changes records.
    pub(super) async fn write(&mut self, model: &str, ids: &[i64], values: Value) -> Result<(), Stop> {
        let args = vec![("vals", values)];
        self.call(Call { model, method: "write", ids: Some(ids), args }).await.map(|_| ())
    }

    /// Calls one of a model's commands on a record, without the questions that people would be asked.
    pub(super) async fn command(&mut self, model: &str, method: &str, id: i64) -> Result<(), Stop> {
        let mut unasked = Map::new();
        unasked.insert("disable_cancel_warning".into(), json!(true));
        let call = Call { model, method, ids: Some(&[id]), args: Vec::new() };
        self.call_with(call, unasked).await.map(|_| ())
    }
}

/// Why a row was not taken: what people have to mend, or what another try mends.
fn not_loaded(said: &str) -> Stop {
    let passes =
        ["could not serialize", "deadlock", "could not obtain lock", "LockNotAvailable", "Unknown error", "concurrent"];
    let said: String = said.chars().take(800).collect();
    match passes.iter().any(|word| said.contains(word)) {
        true => Stop::failed(format!("Odoo failed: {said}")),
        false => Stop::refused(format!("Odoo refuses it: {said}")),
    }
}

/// What an error of JSON-RPC's means; it comes with the status of success.
fn rpc_meaning(error: &Value) -> Stop {
    match (error.get("data"), error.get("code").and_then(Value::as_i64)) {
        (_, Some(100)) => Stop::outage("Odoo does not let the user in: its session is over"),
        (Some(data), _) if data.get("name").is_some_and(Value::is_string) => meaning(data),
        _ => {
            let said = error.get("message").and_then(Value::as_str).unwrap_or("it failed without a reason");
            Stop::outage(format!("Odoo failed: {said}"))
        }
    }
}

/// What an error of Odoo's means, which both protocols tell alike: what people have to mend, what another try mends, and what
/// keeps everybody out.
fn meaning(error: &Value) -> Stop {
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let name = text("name");
    let said: String = text("message").chars().take(800).collect();
    let short = name.rsplit('.').next().unwrap_or_default();
    match short {
        "Unauthorized" | "AccessDenied" | "SessionExpiredException" => Stop::outage(format!(
            "Odoo does not let the user in ({said}): make a new API key in the user's preferences, under account security, and give it \
             as `api_key`"
        )),
        "AccessError" | "Forbidden" => {
            Stop::outage(format!("Odoo's user may not do this: give it the rights that are named here: {said}"))
        }
        "MissingError" => Stop::failed(format!("what it was about is not in Odoo any more: {said}")),
        "UserError" | "ValidationError" | "RedirectWarning" | "UnprocessableEntity" if is_of_models(&said) => {
            not_installed(&said)
        }
        "UserError" | "ValidationError" | "RedirectWarning" | "UnprocessableEntity" => {
            Stop::refused(format!("Odoo refuses it: {said}"))
        }
        "NotFound" if said.contains("exist") => not_installed(&said),
        "NotFound" => Stop::outage(format!("Odoo does not find it: {said}: check `url` and `database`")),
        "ValueError" | "KeyError" if said.contains("Invalid field") => {
            Stop::refused(format!("this Odoo has no such field: {said}: write the document without it in the mapping"))
        }
        "OperationalError" if said.contains("does not exist") => {
            Stop::outage(format!("Odoo has no such database: check `database`: {said}"))
        }
        _ => Stop::failed(format!("Odoo failed: {name} {said}")),
    }
}

/// Whether Odoo tells that it has no such model at all.
fn is_of_models(said: &str) -> bool {
    said.starts_with("Object ") && (said.contains("doesn't exist") || said.contains("does not exist"))
}

fn not_installed(said: &str) -> Stop {
    Stop::outage(format!(
        "something is not installed in Odoo: {said}: install Sales, and Inventory and Invoicing with it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::ports::Ending;

    #[test]
    fn errors_are_told_apart_by_who_can_mend_them() {
        let (again, out) = (
            Ending::Failed { after_seconds: None, outage: false },
            Ending::Failed { after_seconds: None, outage: true },
        );
        for (name, said, wanted) in [
            ("odoo.exceptions.UserError", "Some orders are not in a state requiring confirmation", Ending::Refused),
            ("odoo.exceptions.ValidationError", "The operation cannot be completed", Ending::Refused),
            ("odoo.exceptions.MissingError", "Record does not exist or has been deleted.", again.clone()),
            ("odoo.exceptions.AccessError", "You are not allowed to create 'Sales Order'", out.clone()),
            ("odoo.exceptions.AccessDenied", "Access Denied", out.clone()),
            ("werkzeug.exceptions.Unauthorized", "Invalid apikey", out.clone()),
            ("werkzeug.exceptions.NotFound", "the model 'sale.order' does not exist", out.clone()),
            ("odoo.exceptions.UserError", "Object sale.order doesn't exist", out.clone()),
            ("builtins.ValueError", "Invalid field 'x' in 'res.partner'", Ending::Refused),
            ("psycopg2.OperationalError", "FATAL: database \"shop\" does not exist", out.clone()),
            ("psycopg2.errors.SerializationFailure", "could not serialize access", again.clone()),
            ("builtins.TypeError", "x", again.clone()),
        ] {
            let data = json!({"name": name, "message": said});
            assert_eq!(meaning(&data).ending, wanted, "{name} {said}");
            let told = json!({"code": 200, "message": "Odoo Server Error", "data": data});
            assert_eq!(rpc_meaning(&told).ending, wanted, "{name} {said}");
        }
        assert_eq!(rpc_meaning(&json!({"code": 100, "message": "Odoo Session Expired"})).ending, out);
        assert_eq!(not_loaded("could not serialize access due to concurrent update").ending, again);
        assert_eq!(not_loaded("No matching record found for name 'X'").ending, Ending::Refused);
    }
}

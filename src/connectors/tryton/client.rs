//! Tryton's JSON-RPC: sessions, calls, and what its errors mean.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use url::Url;

use super::{Secrets, Settings};
use crate::{
    connectors::{
        ports::Target,
        wire::{Answer, Request, Stop, Wire},
    },
    error::Error,
    http::seal,
    kernel::stored,
};

/// A session of Tryton's: its token, and what is put beside every call.
#[derive(Debug, Clone)]
struct Session {
    token: String,
    context: Map<String, Value>,
}

/// The sessions of this process, by what they were opened with. Tryton ends them when it likes; then another is opened.
static SESSIONS: Mutex<Option<HashMap<String, Session>>> = Mutex::new(None);

fn remembered(key: &str) -> Option<Session> {
    let sessions = SESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
    sessions.as_ref().and_then(|sessions| sessions.get(key).cloned())
}

fn remember(key: &str, session: Option<&Session>) {
    let mut sessions = SESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let sessions = sessions.get_or_insert_default();
    match session {
        Some(session) => drop(sessions.insert(key.to_owned(), session.clone())),
        None => drop(sessions.remove(key)),
    }
}

/// A talk with a Tryton server.
pub(super) struct Tryton<'a> {
    pub wire: Wire<'a>,
    /// Whether what is sent and answered is not kept.
    pub quiet: bool,
    url: Url,
    settings: Settings,
    secrets: Secrets,
    key: String,
    session: Option<Session>,
    products: BTreeMap<String, Value>,
}

impl<'a> Tryton<'a> {
    pub(super) fn new(to: Target<'a>) -> Result<Self, Stop> {
        let settings: Settings = stored::from_value(to.settings).map_err(Error::from)?;
        let secrets: Secrets = stored::from_value(to.secrets).map_err(Error::from)?;
        let url = super::rpc_url(&settings)?;
        let key = seal::sha256_hex(format!("{url}\n{}\n{}", settings.user, secrets.password).as_bytes());
        let session = remembered(&key);
        let products = to.mapping.tables.get("products").cloned().unwrap_or_default();
        Ok(Self { wire: Wire::new(to), quiet: false, url, settings, secrets, key, session, products })
    }

    /// What we call the product of a code: the other way round through the table of products.
    pub(super) fn sku_of(&self, code: &str) -> String {
        let known = self.products.iter().find(|(_, theirs)| theirs.as_str() == Some(code));
        known.map_or_else(|| code.to_owned(), |(sku, _)| sku.clone())
    }

    /// The settings.
    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    async fn post(&mut self, method: &str, params: Vec<Value>, session: Option<&Session>) -> Result<Answer, Stop> {
        let mut headers = Vec::new();
        if let Some(session) = session {
            headers.push(("authorization", format!("Session {}", session.token)));
        }
        let body = Some(json!({"id": 1, "method": method, "params": params}));
        let request = Request {
            method: reqwest::Method::POST,
            url: self.url.clone(),
            headers,
            body,
            secret: session.is_none() || self.quiet,
        };
        self.wire.send(&request).await
    }

    /// Opens a session, and learns for which company its user works.
    async fn log_in(&mut self) -> Result<Session, Stop> {
        let params = vec![json!(self.settings.user), json!({"password": self.secrets.password}), json!("en")];
        let answer = self.post("common.db.login", params, None).await?;
        self.wire.succeeded(&answer)?;
        let opened = result(&answer)?;
        let (Some(id), Some(word)) = (opened.get(0).and_then(Value::as_i64), opened.get(1).and_then(Value::as_str))
        else {
            return Err(Stop::outage("Tryton does not know the user, or not with this password"));
        };
        let token = STANDARD.encode(format!("{}:{id}:{word}", self.settings.user));
        let mut session = Session { token, context: Map::new() };
        let answer = self.post("model.res.user.get_preferences", vec![json!(true), json!({})], Some(&session)).await?;
        self.wire.succeeded(&answer)?;
        let preferences = result(&answer)?;
        for name in ["company", "language", "warehouse"] {
            if let Some(value) = preferences.get(name).filter(|value| !value.is_null()) {
                session.context.insert(name.to_owned(), value.clone());
            }
        }
        if session.context.get("company").is_none_or(Value::is_null) {
            return Err(Stop::outage("the user works for no company in Tryton: give it one"));
        }
        remember(&self.key, Some(&session));
        Ok(session)
    }

    /// Calls a method of Tryton's. Its context is put last.
    pub(super) async fn call(&mut self, method: &str, params: Vec<Value>) -> Result<Value, Stop> {
        self.call_with(method, params, Map::new()).await
    }

    /// The same with more in its context.
    pub(super) async fn call_with(
        &mut self,
        method: &str,
        params: Vec<Value>,
        more: Map<String, Value>,
    ) -> Result<Value, Stop> {
        for again in [false, true] {
            let session = match self.session.clone() {
                Some(session) => session,
                None => self.log_in().await?,
            };
            self.session = Some(session.clone());
            let mut context = session.context.clone();
            context.extend(more.clone());
            let mut params = params.clone();
            params.push(Value::Object(context));
            let answer = self.post(method, params, Some(&session)).await?;
            if answer.status.as_u16() == 401 && !again {
                // The session is over: nothing was done, and another is opened.
                remember(&self.key, None);
                self.session = None;
                continue;
            }
            self.wire.succeeded(&answer)?;
            return result(&answer);
        }
        Err(Stop::outage("Tryton ends every session at once"))
    }

    /// The fields of the records of a model that a domain finds.
    pub(super) async fn read(&mut self, model: &str, domain: Value, fields: &[&str]) -> Result<Vec<Value>, Stop> {
        let params = vec![domain, json!(0), json!(1000), Value::Null, json!(fields)];
        let found = self.call(&format!("model.{model}.search_read"), params).await?;
        match found {
            Value::Array(found) => Ok(found),
            _ => Err(Stop::outage("Tryton answered a search with something else than a list")),
        }
    }

    /// Makes one record, and gives its id.
    pub(super) async fn create(&mut self, model: &str, values: Value) -> Result<i64, Stop> {
        let made = self.call(&format!("model.{model}.create"), vec![json!([values])]).await?;
        made.get(0).and_then(Value::as_i64).ok_or_else(|| Stop::outage("Tryton made a record and did not tell its id"))
    }

    /// Calls one of a model's commands on a record.
    pub(super) async fn command(&mut self, model: &str, command: &str, id: i64) -> Result<(), Stop> {
        self.call(&format!("model.{model}.{command}"), vec![json!([id])]).await.map(|_| ())
    }
}

/// What a call gave. Tryton tells errors with the status of success.
fn result(answer: &Answer) -> Result<Value, Stop> {
    let mut document = answer.json()?;
    if let Some(error) = document.get("error") {
        return Err(meaning(error));
    }
    match document.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(Stop::outage("its answer is not one of Tryton's")),
    }
}

/// What Tryton says of a second one of what there may be one of.
const TAKEN: &str = "must be unique";

/// Whether Tryton has refused to make a second one of what there may be one of: it is to be looked for again.
pub(super) fn is_taken(stop: &Stop) -> bool {
    stop.error.contains(TAKEN)
}

/// What an error of Tryton's means: what people have to mend, what another try mends, and what is Tryton's own defect.
fn meaning(error: &Value) -> Stop {
    let name = error.get(0).and_then(Value::as_str).unwrap_or_default();
    let said = match error.get(1) {
        Some(Value::Array(texts)) => {
            texts.iter().filter_map(Value::as_str).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
        }
        Some(Value::String(text)) => text.clone(),
        _ => error.to_string(),
    };
    let said: String = said.chars().take(800).collect();
    match name {
        "ConcurrencyException" => Stop::failed(format!("somebody changes the same record in Tryton: {said}")),
        // Somebody else has made the same at once: the next try finds it.
        "UserError" if said.contains(TAKEN) => Stop::failed(format!("Tryton has one already: {said}")),
        "UserError" | "UserWarning" => Stop::refused(format!("Tryton refuses it: {said}")),
        "NotLogged" | "LoginException" => Stop::outage(format!("Tryton does not let the user in: {said}")),
        _ => Stop::failed(format!("Tryton failed: {name} {said}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::ports::Ending;

    #[test]
    fn errors_are_told_apart_by_who_can_mend_them() {
        let refused = meaning(&json!(["UserError", ["The product is not salable.", "", null]]));
        assert_eq!(
            (refused.ending, refused.error.as_str()),
            (Ending::Refused, "Tryton refuses it: The product is not salable.")
        );
        let again = meaning(&json!(["ConcurrencyException", "This record has been modified"]));
        assert_eq!(again.ending, Ending::Failed { after_seconds: None, outage: false });
        let taken = meaning(&json!(["UserError", ["The code on party must be unique.", "", null]]));
        assert_eq!(taken.ending, Ending::Failed { after_seconds: None, outage: false });
        assert!(is_taken(&taken) && !is_taken(&again));
        assert_eq!(meaning(&json!(["KeyError", "x"])).ending, Ending::Failed { after_seconds: None, outage: false });
    }
}

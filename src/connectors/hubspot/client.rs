//! HubSpot's API: requests, batches, and what its errors mean.

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::{Secrets, Settings};
use crate::{
    connectors::{
        ports::Target,
        settings,
        wire::{Answer, Request, Stop, Wire},
    },
    error::Error,
    kernel::stored,
};

/// So many records a batch has at most.
const AT_ONCE: usize = 100;

/// A talk with HubSpot.
pub(super) struct HubSpot<'a> {
    pub wire: Wire<'a>,
    pub settings: Settings,
    base: Url,
    token: String,
}

impl<'a> HubSpot<'a> {
    pub(super) fn new(to: Target<'a>) -> Result<Self, Stop> {
        let settings: Settings = stored::from_value(to.settings).map_err(Error::from)?;
        let secrets: Secrets = stored::from_value(to.secrets).map_err(Error::from)?;
        let base = super::base_url(&settings)?;
        Ok(Self { wire: Wire::new(to), settings, base, token: secrets.access_token })
    }

    async fn send(&mut self, method: Method, path: &str, body: Option<Value>) -> Result<Answer, Stop> {
        let text = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let url = Url::parse(&text).map_err(|error| settings::wrong("url", &error.to_string()))?;
        let headers = vec![("authorization", format!("Bearer {}", self.token))];
        self.wire.send(&Request { method, url, headers, body, secret: false }).await
    }

    /// What it says to a request, where it is no success: in its own words.
    fn judged(&self, answer: &Answer) -> Result<(), Stop> {
        match self.wire.succeeded(answer) {
            Ok(()) => Ok(()),
            Err(stop) => Err(Stop { error: told(answer).unwrap_or(stop.error), ending: stop.ending }),
        }
    }

    /// Makes or changes records, each under the value of its unique property, and gives their ids by these values.
    pub(super) async fn upsert(&mut self, object: &str, inputs: &[Value]) -> Result<Vec<(String, String)>, Stop> {
        let mut made = Vec::with_capacity(inputs.len());
        for some in inputs.chunks(AT_ONCE) {
            let path = format!("/crm/v3/objects/{object}/batch/upsert");
            let answer = self.send(Method::POST, &path, Some(json!({ "inputs": some }))).await?;
            self.judged(&answer)?;
            let body = whole(&answer)?;
            for input in some {
                let (key, value) = (text(input, "idProperty"), text(input, "id"));
                let is_it = |one: &&Value| {
                    // HubSpot writes e-mail addresses in lower case.
                    one.pointer(&format!("/properties/{key}")).and_then(Value::as_str).is_some_and(|theirs| {
                        theirs == value || (key == "email" && theirs.eq_ignore_ascii_case(&value))
                    })
                };
                let results = body.get("results").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                let id = results.iter().find(is_it).map(|one| text(one, "id")).filter(|id| !id.is_empty());
                let missing = || Stop::outage(format!("HubSpot does not tell the id of `{value}` among its {object}"));
                made.push((value.clone(), id.ok_or_else(missing)?));
            }
        }
        Ok(made)
    }

    /// A record by the value of its unique property, with some of its properties.
    pub(super) async fn read(
        &mut self,
        object: &str,
        (key, value): (&str, &str),
        properties: &[&str],
    ) -> Result<Option<Value>, Stop> {
        let path = format!("/crm/v3/objects/{object}/batch/read");
        let body = json!({"idProperty": key, "properties": properties, "inputs": [{"id": value}]});
        let answer = self.send(Method::POST, &path, Some(body)).await?;
        self.judged(&answer)?;
        let body = answer.json()?;
        // What is not there is told among the errors.
        Ok(body.get("results").and_then(Value::as_array).and_then(|results| results.first()).cloned())
    }

    /// A record by HubSpot's own id, with some of its properties; `None` where it is not there any more.
    pub(super) async fn by_id(&mut self, object: &str, id: &str, properties: &str) -> Result<Option<Value>, Stop> {
        let path = format!("/crm/v3/objects/{object}/{id}?properties={properties}");
        let answer = self.send(Method::GET, &path, None).await?;
        if answer.status.as_u16() == 404 && told(&answer).is_some() {
            return Ok(None);
        }
        self.judged(&answer)?;
        answer.json().map(Some)
    }

    /// Changes a record by HubSpot's own id.
    pub(super) async fn change(&mut self, object: &str, id: &str, properties: &Value) -> Result<(), Stop> {
        let path = format!("/crm/v3/objects/{object}/{id}");
        let answer = self.send(Method::PATCH, &path, Some(json!({ "properties": properties }))).await?;
        self.judged(&answer)
    }

    /// Says that records belong together, in the way that HubSpot does unless told otherwise.
    pub(super) async fn associate(&mut self, from: &str, to: &str, pairs: &[Value]) -> Result<(), Stop> {
        for some in pairs.chunks(AT_ONCE) {
            let path = format!("/crm/v4/associations/{from}/{to}/batch/associate/default");
            let answer = self.send(Method::POST, &path, Some(json!({ "inputs": some }))).await?;
            self.judged(&answer)?;
            whole(&answer)?;
        }
        Ok(())
    }

    /// Erases a contact for good.
    pub(super) async fn erase(&mut self, contact: &str) -> Result<(), Stop> {
        let body = json!({ "objectId": contact });
        let answer = self.send(Method::POST, "/crm/v3/objects/contacts/gdpr-delete", Some(body)).await?;
        self.judged(&answer)
    }

    /// What a property is; `None` where there is none.
    pub(super) async fn property(&mut self, object: &str, name: &str) -> Result<Option<Value>, Stop> {
        let answer = self.send(Method::GET, &format!("/crm/v3/properties/{object}/{name}"), None).await?;
        if answer.status.as_u16() == 404 && told(&answer).is_some() {
            return Ok(None);
        }
        self.judged(&answer)?;
        answer.json().map(Some)
    }
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The answer to a batch of which every part was done. One of which some was not has the status 207.
fn whole(answer: &Answer) -> Result<Value, Stop> {
    let body = answer.json()?;
    let errors = body.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    match errors.first() {
        None => Ok(body),
        Some(first) => Err(Stop::refused(format!("HubSpot did not take all of it: {}", explained(first)))),
    }
}

/// What an answer says went wrong; `None` where it is not HubSpot that says so.
fn told(answer: &Answer) -> Option<String> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    body.get("category")?.as_str()?;
    Some(explained(&body))
}

fn explained(error: &Value) -> String {
    let category = text(error, "category");
    let hint = match category.as_str() {
        "INVALID_AUTHENTICATION" | "EXPIRED_AUTHENTICATION" => ": give the access token anew",
        "MISSING_SCOPES" => ": let the private app read and write contacts, orders and line items",
        "CONFLICT" => ": another contact has the e-mail address; merge both in HubSpot",
        _ => "",
    };
    format!("HubSpot says {category}{hint}: {}", text(error, "message").chars().take(500).collect::<String>())
}

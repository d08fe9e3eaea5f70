//! The adapter for HubSpot, a CRM: orders with their line items, and whose they are.
//!
//! Everything is written by upserts under unique properties that bear our ids, so what is sent again changes what is there. HubSpot keeps no
//! order of writes: an order bears our version of it, and what is older than that is not written.

mod client;
mod map;
mod records;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{
    mapping::Mapping,
    ports::{Adapter, CustomerSink, Delivery, OrderSink, Outcome, Planned, Pushing, Target, Testing},
    settings,
    wire::Stop,
};
use crate::{
    error::{Code, Error, Result},
    events::Event,
};
use client::HubSpot;
use map::Task;

/// The adapter.
pub static ADAPTER: Adapter = Adapter {
    name: "hubspot",
    title: "HubSpot",
    description: "Keeps an order with its line items, and a contact for who has bought, in HubSpot's CRM (API v3 and v4, batch \
                  upserts). Four custom properties are needed there: unique `kontor_order_id` and number `kontor_version` of orders, unique \
                  `kontor_line_id` of line items, `kontor_customer_id` of contacts; the test tells which are missing.",
    settings_schema: || settings::schema::<Settings>(),
    secrets_schema: || settings::schema::<Secrets>(),
    check,
    complete_secrets,
    renew_secrets: None,
    keeps_links: true,
    mapping: || Mapping::built_in(include_str!("mapping.json")),
    test,
    order_sink: Some(&Sink),
    customer_sink: Some(&Sink),
    change_source: None,
    order_search: None,
};

/// Which HubSpot, and whose contacts are kept there.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = HubSpotSettings)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address of its API: `https://api.hubapi.com` unless told.
    #[schema(format = "uri", max_length = 2000, example = "https://api.hubapi.com")]
    pub url: Option<String>,
    /// Who of those that have bought without an account is a contact.
    #[serde(default)]
    pub guests: Guests,
}

/// Who of those that have bought without an account is a contact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = HubSpotGuests)]
#[serde(rename_all = "snake_case")]
pub enum Guests {
    /// Everybody, by the order's e-mail address.
    #[default]
    ByEmail,
    /// Nobody.
    None,
}

/// How Kontor signs in.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = HubSpotSecrets)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// The access token of a private app.
    #[schema(min_length = 10, max_length = 1000)]
    pub access_token: String,
}

/// The address of the API.
fn base_url(of: &Settings) -> Result<Url> {
    settings::http_url(of.url.as_deref().unwrap_or("https://api.hubapi.com"), "url")
}

fn check(given: &Value, allow_private: bool) -> Result<()> {
    let given: Settings = settings::read("/settings", given)?;
    settings::is_allowed(&base_url(&given)?, allow_private)
}

fn complete_secrets(given: Option<&Value>) -> Result<Value> {
    let wrong = |detail: &str| Error::problem(Code::SettingsInvalid, detail.to_owned()).at("/secrets/access_token");
    let given = given.ok_or_else(|| wrong("the access token of a private app is needed"))?;
    let given: Secrets = settings::read("/secrets", given)?;
    // Shorter ones could not be found again in what is kept, to be taken out of it; line breaks end a header.
    if given.access_token.chars().count() < 10
        || given.access_token.contains(|c: char| c.is_control() || c == ' ' || !c.is_ascii())
    {
        return Err(wrong("expected an access token as HubSpot makes it"));
    }
    Ok(serde_json::to_value(given)?)
}

/// Looks whether the properties that are needed are there, which also tells whether the token may read them.
fn test<'a>(to: Target<'a>, _: &'a Event) -> Testing<'a> {
    Box::pin(async move {
        let mut hubspot = match HubSpot::new(to) {
            Ok(hubspot) => hubspot,
            Err(stop) => return Outcome { ending: stop.ending, ..Outcome::failed(stop.error) },
        };
        let how = look_around(&mut hubspot).await;
        hubspot.wire.ended(how)
    })
}

async fn look_around(hubspot: &mut HubSpot<'_>) -> Result<(), Stop> {
    for (object, property, unique) in map::PROPERTIES {
        let Some(found) = hubspot.property(object, property).await? else {
            let kind = if unique { ", whose values are unique" } else { "" };
            return Err(Stop::refused(format!("make a custom property `{property}` of {object}{kind}")));
        };
        if unique && found.get("hasUniqueValue").and_then(Value::as_bool) != Some(true) {
            let error = format!(
                "the property `{property}` of {object} does not require unique values: HubSpot lets that be said only when \
                 a property is made; make it anew"
            );
            return Err(Stop::refused(error));
        }
    }
    Ok(())
}

/// Brings orders and customers to HubSpot.
struct Sink;

async fn push(delivery: Delivery<'_>) -> Outcome {
    let mut hubspot = match HubSpot::new(delivery.to) {
        Ok(hubspot) => hubspot,
        Err(stop) => return Outcome { ending: stop.ending, ..Outcome::failed(stop.error) },
    };
    let how = tell(&mut hubspot, delivery).await;
    hubspot.wire.ended(how)
}

async fn tell(hubspot: &mut HubSpot<'_>, delivery: Delivery<'_>) -> Result<(), Stop> {
    match map::task(delivery.event) {
        Task::Nothing => Ok(()),
        Task::Order => records::order(hubspot, delivery).await,
        Task::Contact => records::contact(hubspot, delivery).await,
        Task::Erased => records::erase(hubspot, delivery).await,
    }
}

/// What would be sent, with `{braces}` for what HubSpot says first.
fn plan(delivery: Delivery<'_>) -> Result<Vec<Planned>> {
    let (event, to) = (delivery.event, delivery.to);
    let given: Settings = settings::read("/settings", to.settings)?;
    let base = base_url(&given)?;
    let planned = |purpose: &str, path: &str, body: Value| Planned {
        purpose: purpose.to_owned(),
        method: "POST".to_owned(),
        target: format!("{}{path}", base.as_str().trim_end_matches('/')),
        body,
    };
    match map::task(event) {
        Task::Nothing => Ok(Vec::new()),
        Task::Order => {
            let known = map::of_order(&event.data, to.settings);
            let mut all = Vec::with_capacity(4);
            if let Some(contact) = map::contact_of(&event.data, to.mapping, &known, given.guests)? {
                let body = json!({ "inputs": [contact] });
                all.push(planned("make or change the contact", "/crm/v3/objects/contacts/batch/upsert", body));
            }
            let order = json!({"inputs": [map::order_of(&event.data, to.mapping, &known)?]});
            all.push(planned("make or change the order", "/crm/v3/objects/orders/batch/upsert", order));
            let lines = json!({"inputs": map::lines_of(&event.data, to.mapping, &known)?});
            all.push(planned("make or change its line items", "/crm/v3/objects/line_items/batch/upsert", lines));
            let pairs = json!({"inputs": [{"from": {"id": "{order}"}, "to": {"id": "{line item}"}}]});
            all.push(planned(
                "say that they belong together",
                "/crm/v4/associations/orders/line_items/batch/associate/default",
                pairs,
            ));
            Ok(all)
        }
        Task::Contact => {
            let known = map::of_customer(&event.data, to.settings);
            let contact = map::contact(&event.data, to.mapping, &known)?;
            let body = json!({"inputs": contact.into_iter().collect::<Vec<_>>()});
            Ok(vec![planned("make or change the contact", "/crm/v3/objects/contacts/batch/upsert", body)])
        }
        Task::Erased => {
            let body = json!({"objectId": "{contact}"});
            Ok(vec![planned("erase the contact", "/crm/v3/objects/contacts/gdpr-delete", body)])
        }
    }
}

impl OrderSink for Sink {
    fn push<'a>(&'a self, delivery: Delivery<'a>) -> Pushing<'a> {
        Box::pin(push(delivery))
    }

    fn plan(&self, delivery: Delivery<'_>) -> Result<Vec<Planned>> {
        plan(delivery)
    }
}

impl CustomerSink for Sink {
    fn push_customer<'a>(&'a self, delivery: Delivery<'a>) -> Pushing<'a> {
        Box::pin(push(delivery))
    }

    fn plan_customer(&self, delivery: Delivery<'_>) -> Result<Vec<Planned>> {
        plan(delivery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_secrets_are_refused_where_something_is_wrong() {
        assert!(check(&json!({}), false).is_ok());
        assert!(check(&json!({"url": "ftp://x"}), true).is_err());
        assert!(check(&json!({"url": "http://127.0.0.1"}), false).is_err());
        assert!(check(&json!({"guests": "some"}), true).is_err());
        assert!(complete_secrets(None).is_err());
        assert!(complete_secrets(Some(&json!({"access_token": "short"}))).is_err());
        assert!(complete_secrets(Some(&json!({"access_token": "pat-eu1-0123456789"}))).is_ok());
    }
}

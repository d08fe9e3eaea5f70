//! The adapter for any system that takes webhooks: Standard Webhooks signatures over a CloudEvents body.

mod client;
mod map;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{
    mapping::Mapping,
    ports::{Adapter, CustomerSink, Delivery, OrderSink, Planned, Pushing},
    settings,
};
use crate::{
    error::{Code, Error, Result},
    events,
    kernel::{Instant, stored},
};

/// The adapter.
pub static ADAPTER: Adapter = Adapter {
    name: "webhook",
    title: "Webhook",
    description: "Posts each event as a CloudEvent (application/cloudevents+json), signed as Standard Webhooks describes: check \
                  `webhook-signature` over `webhook-id`.`webhook-timestamp`.body with the signing secret. Answer 2xx within the \
                  time limit; anything else is tried again. Remember `webhook-id` to see each event once.",
    settings_schema: || settings::schema::<Settings>(),
    secrets_schema: || settings::schema::<GivenSecrets>(),
    check,
    complete_secrets,
    renew_secrets: Some(renew_secrets),
    keeps_links: false,
    mapping: Mapping::default,
    test: |to, ping| Box::pin(client::push(Delivery { event: ping, links: &[], to })),
    order_sink: Some(&Webhook),
    customer_sink: Some(&Webhook),
    change_source: None,
    order_search: None,
};

/// Where to post.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// An http or https address.
    #[schema(format = "uri", max_length = 2000, example = "https://erp.example.com/hooks/kontor")]
    pub url: String,
}

/// The secrets that can be given; what is left out is made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenSecrets {
    /// The signing secret: `whsec_` and 24 to 64 bytes in base64.
    pub signing_secret: Option<String>,
    /// The whole value of an `Authorization` header that the receiver's gateway asks for.
    #[schema(max_length = 4000)]
    pub authorization: Option<String>,
}

/// The secrets as they are kept, sealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Secrets {
    signing_secret: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization: Option<String>,
    /// The signing secret before the last renewal signs along until its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<(String, Instant)>,
}

fn parse_url(text: &str) -> Result<Url> {
    settings::http_url(text, "url")
}

fn check(given: &Value, allow_private: bool) -> Result<()> {
    let given: Settings = settings::read("/settings", given)?;
    settings::is_allowed(&parse_url(&given.url)?, allow_private)
}

fn fresh_secret() -> String {
    let bytes: [u8; 32] = rand::random();
    format!("whsec_{}", STANDARD.encode(bytes))
}

fn complete_secrets(given: Option<&Value>) -> Result<Value> {
    let given: GivenSecrets =
        given.map_or_else(|| Ok(GivenSecrets::default()), |given| settings::read("/secrets", given))?;
    if let Some(secret) = &given.signing_secret {
        let bytes = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or_default());
        if !bytes.is_ok_and(|bytes| (24..=64).contains(&bytes.len())) {
            let detail = "expected `whsec_` and 24 to 64 bytes in base64";
            return Err(Error::problem(Code::SettingsInvalid, detail).at("/secrets/signing_secret"));
        }
    }
    if let Some(value) = &given.authorization
        && (value.trim().is_empty() || value.len() > 4000 || reqwest::header::HeaderValue::from_str(value).is_err())
    {
        let detail = "expected the value of a header";
        return Err(Error::problem(Code::SettingsInvalid, detail).at("/secrets/authorization"));
    }
    let signing_secret = given.signing_secret.unwrap_or_else(fresh_secret);
    Ok(serde_json::to_value(Secrets { signing_secret, authorization: given.authorization, previous: None })?)
}

/// For how long the former secret signs along.
const GRACE_SECONDS: i64 = 86_400;

fn renew_secrets(now: Instant, old: &Value) -> Result<Value> {
    let old: Secrets = stored::from_value(old)?;
    let previous = Some((old.signing_secret, now.plus_seconds(GRACE_SECONDS)));
    Ok(serde_json::to_value(Secrets { signing_secret: fresh_secret(), authorization: old.authorization, previous })?)
}

/// Posts events.
struct Webhook;

impl OrderSink for Webhook {
    fn push<'a>(&'a self, delivery: Delivery<'a>) -> Pushing<'a> {
        Box::pin(client::push(delivery))
    }

    fn plan(&self, delivery: Delivery<'_>) -> Result<Vec<Planned>> {
        plan(delivery)
    }
}

/// The one request, without its signature.
fn plan(delivery: Delivery<'_>) -> Result<Vec<Planned>> {
    let settings: Settings = stored::from_value(delivery.to.settings)?;
    let body = events::cloud_event(delivery.event, delivery.to.source);
    Ok(vec![Planned { purpose: "tell of the event".into(), method: "POST".into(), target: settings.url, body }])
}

impl CustomerSink for Webhook {
    fn push_customer<'a>(&'a self, delivery: Delivery<'a>) -> Pushing<'a> {
        Box::pin(client::push(delivery))
    }

    fn plan_customer(&self, delivery: Delivery<'_>) -> Result<Vec<Planned>> {
        plan(delivery)
    }
}

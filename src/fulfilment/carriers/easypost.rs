//! EasyPost's API, as its published reference describes it: shipments with rates, buying, refunds, and the webhooks of its trackers.
//!
//! A shipment there may be asked for by the `reference` that it was made with: that is our label's id, so asking again finds what the
//! first try made, and a label that is bought is not bought again.

use std::time::Duration;

use hmac::{Hmac, Mac};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;

use super::{
    model::{Bought, LabelDetails, Quote},
    port::{self, Carrier, Heard, Parcel, Trouble},
};
use crate::{
    customers::Address,
    error::{Code, Error, Result},
    fulfilment::{
        parcels::{Dimensions, LabelDocument},
        tracking::Tracking,
    },
    http::network::{Network, check_literal},
    kernel::{Country, Currency, Instant, Money},
};

/// Where the API is.
pub(super) const BASE: &str = "https://api.easypost.com/v2";

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Checks the address of an API.
///
/// # Errors
/// `settings_invalid`, `address_forbidden`.
pub(super) fn base(text: Option<&str>, allow_private: bool) -> Result<Url> {
    let wrong = |detail: &str| Error::problem(Code::SettingsInvalid, detail).at("/settings/base_url");
    let url = Url::parse(text.unwrap_or(BASE)).map_err(|error| wrong(&format!("not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !url.username().is_empty() {
        return Err(wrong("expected an http or https address without credentials"));
    }
    if !allow_private {
        check_literal(&url).map_err(|error| error.at("/settings/base_url"))?;
    }
    Ok(url)
}

/// Somebody who asks EasyPost.
pub(super) struct Client {
    pub network: Network,
    pub base: Url,
    pub api_key: String,
    pub allow_private: bool,
}

type Answer<T> = std::result::Result<T, Trouble>;

impl Carrier for Client {
    fn rates<'a>(&'a self, parcel: &'a Parcel) -> port::Answer<'a, Vec<Quote>> {
        Box::pin(self.offered(parcel))
    }

    fn label<'a>(
        &'a self,
        reference: &'a str,
        label: &'a LabelDocument,
        service: Option<&'a str>,
    ) -> port::Answer<'a, Bought> {
        Box::pin(self.buy(reference, label, service))
    }

    fn cancel<'a>(&'a self, reference: &'a str) -> port::Answer<'a, ()> {
        Box::pin(self.void(reference))
    }

    fn track<'a>(&'a self, tracking_number: &'a str) -> port::Answer<'a, Vec<Heard>> {
        Box::pin(self.way_of(tracking_number))
    }
}

impl Client {
    /// Asks, and gives the answer with its status where that is one that can be understood.
    async fn ask(&self, path: &str, body: Option<&Value>) -> Answer<(StatusCode, Value)> {
        let text = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let url = Url::parse(&text).map_err(|error| Trouble::Refused(error.to_string()))?;
        let client =
            self.network.client(&url, self.allow_private).map_err(|error| Trouble::Refused(error.to_string()))?;
        let request = match body {
            Some(body) => client.post(url).json(body),
            None => client.get(url),
        };
        // The key is the name of a basic authentication without a password.
        let sent = request.basic_auth(&self.api_key, Some("")).timeout(PATIENCE).send().await;
        let answer = sent.map_err(|error| Trouble::NoAnswer(error.without_url().to_string()))?;
        let status = answer.status();
        let body = answer.text().await.map_err(|error| Trouble::NoAnswer(error.without_url().to_string()))?;
        match status.as_u16() {
            200..=299 | 404 | 422 => Ok((
                status,
                serde_json::from_str(&body).map_err(|_| Trouble::NoAnswer("the answer is no JSON".into()))?,
            )),
            401 | 403 => Err(Trouble::Refused(format!("{status}: check the account's API key"))),
            400..=499 if status != StatusCode::TOO_MANY_REQUESTS && status != StatusCode::REQUEST_TIMEOUT => {
                Err(Trouble::Refused(said(status, &serde_json::from_str(&body).unwrap_or_default())))
            }
            _ => Err(Trouble::NoAnswer(status.to_string())),
        }
    }

    /// The shipment of a reference of ours.
    async fn find(&self, reference: &str) -> Answer<Option<Shipment>> {
        match self.ask(&format!("/shipments/{reference}"), None).await? {
            (status, body) if status.is_success() => read(&body).map(Some),
            _ => Ok(None),
        }
    }

    /// Buys a label: of the service that is wanted, or the cheapest. What was bought under the reference before is given again.
    async fn buy(&self, reference: &str, label: &LabelDocument, service: Option<&str>) -> Answer<Bought> {
        let found = match self.find(reference).await? {
            Some(found) => found,
            None => match self.ask("/shipments", Some(&shipment(reference, label))).await? {
                (status, body) if status.is_success() => read(&body)?,
                (status, body) => return Err(Trouble::Refused(said(status, &body))),
            },
        };
        if found.postage_label.is_some() {
            return found.bought();
        }
        let rate = found.choose(service)?;
        let body = json!({"rate": {"id": rate}});
        match self.ask(&format!("/shipments/{}/buy", found.id), Some(&body)).await? {
            (status, body) if status.is_success() => read(&body)?.bought(),
            // Another try may have bought it, whose answer was lost: what is there counts, not how the refusal is worded.
            (status, body) => match self.find(reference).await? {
                Some(found) if found.postage_label.is_some() => found.bought(),
                _ => Err(Trouble::Refused(said(status, &body))),
            },
        }
    }

    /// What is offered for a parcel. A shipment that is made there and not bought costs nothing.
    async fn offered(&self, parcel: &Parcel) -> Answer<Vec<Quote>> {
        let (name, country, address) = &parcel.from;
        let to = json!({"zip": parcel.postcode, "country": parcel.country});
        let parcel = json!({"weight": tenths(parcel.grams, 2835)});
        let from = sender((name, *country, address.as_ref()));
        let body = json!({"shipment": {"from_address": from, "to_address": to, "parcel": parcel}});
        let found = match self.ask("/shipments", Some(&body)).await? {
            (status, body) if status.is_success() => read(&body)?,
            (status, body) => return Err(Trouble::Refused(said(status, &body))),
        };
        let mut quotes: Vec<Quote> = found.rates.iter().filter_map(Rate::quote).collect();
        quotes.sort_by(|a, b| (a.price.minor(), &a.service).cmp(&(b.price.minor(), &b.service)));
        Ok(quotes)
    }

    /// What the tracker of a number knows; nothing where there is none.
    async fn way_of(&self, tracking_number: &str) -> Answer<Vec<Heard>> {
        let number: String = url::form_urlencoded::byte_serialize(tracking_number.as_bytes()).collect();
        let trackers = match self.ask(&format!("/trackers?tracking_code={number}"), None).await? {
            (status, body) if status.is_success() => body.get("trackers").cloned().unwrap_or_default(),
            (status, body) => return Err(Trouble::Refused(said(status, &body))),
        };
        let trackers: Vec<Tracker> = serde_json::from_value(trackers)
            .map_err(|error| Trouble::NoAnswer(format!("the answer is no list of trackers: {error}")))?;
        // The newest one is in front; numbers are used again after years.
        let own = trackers.into_iter().find(|tracker| tracker.tracking_code == tracking_number);
        Ok(own.map(Tracker::heard).unwrap_or_default())
    }

    /// Asks for a label to be taken back.
    async fn void(&self, reference: &str) -> Answer<()> {
        let Some(found) = self.find(reference).await? else { return Ok(()) };
        if matches!(found.refund_status.as_deref(), Some("submitted" | "refunded")) {
            return Ok(());
        }
        match self.ask(&format!("/shipments/{}/refund", found.id), Some(&json!({}))).await? {
            (status, body) if status.is_success() => match read(&body)?.refund_status.as_deref() {
                Some("rejected") => Err(Trouble::Refused("the refund is rejected".to_owned())),
                _ => Ok(()),
            },
            (status, body) => Err(Trouble::Refused(said(status, &body))),
        }
    }
}

fn code(body: &Value) -> &str {
    body.pointer("/error/code").and_then(Value::as_str).unwrap_or_default()
}

fn said(status: StatusCode, body: &Value) -> String {
    let message = body.pointer("/error/message").map(|message| match message {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let text = format!("{status} {} {}", code(body), message.unwrap_or_default());
    text.trim().chars().take(500).collect()
}

/// What is read of a shipment of theirs.
#[derive(Debug, Deserialize)]
struct Shipment {
    id: String,
    #[serde(default)]
    tracking_code: Option<String>,
    #[serde(default)]
    rates: Vec<Rate>,
    #[serde(default)]
    selected_rate: Option<Rate>,
    #[serde(default)]
    postage_label: Option<PostageLabel>,
    #[serde(default)]
    refund_status: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Rate {
    id: String,
    carrier: String,
    service: String,
    rate: String,
    currency: String,
    #[serde(default)]
    delivery_days: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct PostageLabel {
    #[serde(default)]
    label_url: Option<String>,
}

fn read(body: &Value) -> Answer<Shipment> {
    serde_json::from_value(body.clone())
        .map_err(|error| Trouble::NoAnswer(format!("the answer is no shipment: {error}")))
}

impl Rate {
    /// What it takes, where its currency is one that is known here.
    fn quote(&self) -> Option<Quote> {
        let currency: Currency = self.currency.parse().ok()?;
        let price = Money::parse(&self.rate, currency).ok()?;
        Some(Quote { carrier: self.carrier.clone(), service: self.service.clone(), price, days: self.delivery_days })
    }
}

impl Shipment {
    /// The rate of a service, or the cheapest.
    fn choose(&self, service: Option<&str>) -> Answer<String> {
        let priced = self.rates.iter().filter_map(|rate| Some((rate.quote()?.price.minor(), rate)));
        let fitting = priced.filter(|(_, rate)| service.is_none_or(|wanted| rate.service.eq_ignore_ascii_case(wanted)));
        let cheapest = fitting.min_by_key(|(price, _)| *price).map(|(_, rate)| rate.id.clone());
        cheapest.ok_or_else(|| {
            let offered: Vec<&str> = self.rates.iter().map(|rate| rate.service.as_str()).collect();
            Trouble::Refused(format!("no such service is offered; these are: {}", offered.join(", ")))
        })
    }

    fn bought(self) -> Answer<Bought> {
        let Some(rate) = &self.selected_rate else {
            return Err(Trouble::NoAnswer("the shipment has a label and no rate".to_owned()));
        };
        Ok(Bought {
            carrier: rate.carrier.clone(),
            tracking_number: self.tracking_code.clone(),
            details: LabelDetails {
                service: Some(rate.service.clone()),
                price: rate.quote().map(|quote| quote.price),
                label_url: self.postage_label.as_ref().and_then(|label| label.label_url.clone()),
                quotes: self.rates.iter().filter_map(Rate::quote).collect(),
                error: None,
            },
        })
    }
}

/// Tenths of a foreign unit as a JSON number, rounded up: no carrier takes less than it weighs.
fn tenths(amount: i64, per_unit_hundredths: i64) -> Value {
    let tenths = amount.saturating_mul(1000).saturating_add(per_unit_hundredths - 1) / per_unit_hundredths;
    let number = format!("{}.{}", tenths / 10, tenths % 10).parse::<serde_json::Number>();
    number.map_or(Value::Null, Value::Number)
}

fn address(address: &Address) -> Value {
    json!({
        "name": address.name, "company": address.company, "street1": address.street1, "street2": address.street2,
        "city": address.city, "state": address.region, "zip": address.postcode, "country": address.country,
        "phone": address.phone,
    })
}

/// Where a parcel leaves: by its address, or by the place's name and country where that is not known.
fn sender((name, country, known): (&str, Country, Option<&Address>)) -> Value {
    known.map_or_else(|| json!({"company": name, "country": country}), address)
}

/// A package as their API wants to be told of it: weights in ounces, sides in inches.
fn shipment(reference: &str, label: &LabelDocument) -> Value {
    let from = sender((&label.from.name, label.from.country, label.from.address.as_ref()));
    let mut parcel = json!({"weight": tenths(label.weight_grams.unwrap_or(1), 2835)});
    if let (Some(Dimensions { length_mm, width_mm, height_mm }), Some(parcel)) =
        (label.dimensions, parcel.as_object_mut())
    {
        for (name, side) in [("length", length_mm), ("width", width_mm), ("height", height_mm)] {
            parcel.insert(name.to_owned(), tenths(side, 2540));
        }
    }
    json!({"shipment": {
        "reference": reference,
        "from_address": from,
        "to_address": label.to.as_ref().map(address),
        "parcel": parcel,
        "options": {"print_custom_1": label.order_number},
    }})
}

/// What a webhook tells of a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// The message's id: the same when it is delivered again.
    pub id: String,
    pub tracking_number: String,
    pub scans: Vec<Heard>,
}

/// What is read of a tracker of theirs.
#[derive(Deserialize)]
struct Tracker {
    tracking_code: String,
    #[serde(default)]
    tracking_details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    datetime: Instant,
    status: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    tracking_location: Option<Place>,
}

#[derive(Deserialize)]
struct Place {
    #[serde(default)]
    city: Option<String>,
    #[serde(default)]
    country: Option<String>,
}

impl Tracker {
    fn heard(self) -> Vec<Heard> {
        let short = |text: String, most: usize| text.chars().filter(|c| !c.is_control()).take(most).collect::<String>();
        let scan = |detail: Detail| {
            let place = detail.tracking_location.map(|place| {
                let parts: Vec<String> = [place.city, place.country].into_iter().flatten().collect();
                short(parts.join(", "), 200)
            });
            let text = detail.message.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| detail.status.clone());
            let (text, place) = (short(text, 300), place.filter(|place| !place.is_empty()));
            Heard { at: detail.datetime, text, place, mark: mark(&detail.status) }
        };
        self.tracking_details.into_iter().map(scan).collect()
    }
}

/// Whether a webhook's body is signed with the secret.
pub(super) fn is_signed(secret: &str, signature: &str, body: &[u8]) -> bool {
    let Some(hex) = signature.strip_prefix("hmac-sha256-hex=") else { return false };
    let digits = hex.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    let (Some(given), Ok(mut mac)) =
        (digits.collect::<Option<Vec<u8>>>(), Hmac::<Sha256>::new_from_slice(secret.as_bytes()))
    else {
        return false;
    };
    mac.update(body);
    mac.verify_slice(&given).is_ok()
}

fn mark(status: &str) -> Option<Tracking> {
    match status {
        "pre_transit" => Some(Tracking::Announced),
        "in_transit" | "available_for_pickup" => Some(Tracking::InTransit),
        "out_for_delivery" => Some(Tracking::OutForDelivery),
        "failure" => Some(Tracking::FailedAttempt),
        "return_to_sender" => Some(Tracking::ReturnedToSender),
        "delivered" => Some(Tracking::Delivered),
        _ => None,
    }
}

/// Reads a webhook: `None` for what is not about a tracker.
///
/// # Errors
/// `body_malformed`.
pub(super) fn told(body: &[u8]) -> Result<Option<Told>> {
    #[derive(Deserialize)]
    struct Event {
        id: String,
        #[serde(default)]
        description: String,
        #[serde(default)]
        result: Value,
    }
    let wrong = |error: serde_json::Error| Error::problem(Code::BodyMalformed, format!("this is no event: {error}"));
    let event: Event = serde_json::from_slice(body).map_err(wrong)?;
    if !event.description.starts_with("tracker.") {
        return Ok(None);
    }
    let tracker: Tracker = serde_json::from_value(event.result).map_err(wrong)?;
    let tracking_number = tracker.tracking_code.clone();
    Ok(Some(Told { id: event.id, tracking_number, scans: tracker.heard() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_and_sides_are_never_told_too_small() {
        assert_eq!((tenths(800, 2835), tenths(1, 2835), tenths(2835, 2835)), (json!(28.3), json!(0.1), json!(100.0)));
        assert_eq!(tenths(300, 2540), json!(11.9));
    }

    #[test]
    fn a_signature_fits_its_body_and_secret_only() {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"sekret").unwrap();
        mac.update(b"{}");
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = format!("hmac-sha256-hex={hex}");
        assert!(is_signed("sekret", &signature, b"{}"));
        for (secret, signature, body) in [
            ("other", signature.as_str(), "{}"),
            ("sekret", &signature, "{ }"),
            ("sekret", &hex, "{}"),
            ("sekret", "hmac-sha256-hex=zz", "{}"),
        ] {
            assert!(!is_signed(secret, signature, body.as_bytes()));
        }
    }

    #[test]
    fn recorded_documents_are_understood() {
        let recorded = include_str!("easypost/shipment_bought.json");
        let bought = read(&serde_json::from_str(recorded).unwrap()).unwrap().bought().unwrap();
        assert_eq!(
            (bought.carrier.as_str(), bought.tracking_number.as_deref()),
            ("USPS", Some("9400100110368066361720"))
        );
        assert_eq!(bought.details.price.unwrap().minor(), 593);
        assert_eq!(bought.details.quotes.len(), 2);
        let told = told(include_bytes!("easypost/tracker_updated.json")).unwrap().unwrap();
        assert_eq!((told.tracking_number.as_str(), told.scans.len()), ("9400100110368066361720", 3));
        assert_eq!(told.scans[2].mark, Some(Tracking::OutForDelivery));
        let other = br#"{"id": "evt_2", "description": "batch.created", "result": {}}"#;
        assert_eq!(super::told(other).unwrap(), None);
        assert!(super::told(b"[]").is_err());
    }
}

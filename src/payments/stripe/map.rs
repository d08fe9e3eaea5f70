//! What Stripe says, in our words, and ours in Stripe's. Pure.

use std::collections::HashMap;

use hmac::{Hmac, Mac};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::{
    disputes::{DisputeNotice, DisputeState},
    fees::PaymentFee,
    model::{Action, Decline, Outcome, Payment},
    provider::{NOT_FOUND, Notification, RefundFailed},
};
use crate::kernel::{Currency, Instant, Money};

/// Under which name a PaymentIntent and a refund bear our key.
pub(super) const KEY: &str = "kontor_key";
/// Under which name a PaymentIntent says that the customer's browser confirms it.
pub(super) const FORM: &str = "kontor_form";
/// The kind of action of a payment that Stripe's script in the storefront confirms.
const SCRIPT: &str = "stripe";

/// How far the time of a notification may be from ours.
const TOLERANCE_SECONDS: u64 = 300;

/// A PaymentIntent, as far as we read it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Intent {
    pub id: String,
    pub status: String,
    #[serde(default)]
    client_secret: Option<String>,
    #[serde(default)]
    next_action: Option<NextAction>,
    #[serde(default)]
    last_payment_error: Option<Trouble>,
    /// A text, or the charge where it was asked for.
    #[serde(default)]
    latest_charge: Value,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
struct NextAction {
    #[serde(default)]
    redirect_to_url: Option<Redirect>,
}

#[derive(Debug, Clone, Deserialize)]
struct Redirect {
    #[serde(default)]
    url: Option<String>,
}

/// What was wrong with a payment or a request.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Trouble {
    #[serde(default)]
    pub r#type: Option<String>,
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub decline_code: Option<String>,
    #[serde(default)]
    pub message: Option<String>,
}

/// Why another try with the same card makes no sense: the bank wants it back, or suspects it.
const FINAL: [&str; 7] = [
    "fraudulent",
    "lost_card",
    "merchant_blacklist",
    "pickup_card",
    "restricted_card",
    "security_violation",
    "stolen_card",
];

impl Trouble {
    /// The bank's no.
    pub(super) fn decline(&self) -> Decline {
        let code = self.decline_code.as_deref().or(self.code.as_deref()).unwrap_or("card_declined");
        Decline { code: code.to_owned(), retryable: !FINAL.contains(&code) }
    }

    /// What it is, for people.
    pub(super) fn text(&self) -> String {
        let code = self.code.as_deref().or(self.r#type.as_deref()).unwrap_or("no reason told");
        self.message.as_ref().map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"))
    }
}

impl Intent {
    /// What has become of an attempt to pay.
    pub(super) fn outcome(&self, return_url: Option<&str>) -> Outcome {
        let form = self.metadata.contains_key(FORM);
        let declined = |code: &str| Outcome::Declined(Decline { code: code.to_owned(), retryable: true });
        match self.status.as_str() {
            "requires_capture" | "succeeded" => {
                Outcome::Authorised { provider_ref: Some(self.id.clone()), expires_at: self.capture_before() }
            }
            // Whoever fills the form in may try another card in it.
            "requires_payment_method" | "requires_confirmation" if form => self.asked_in_form(return_url),
            "requires_action" => self.asked(return_url),
            // It was made, and nobody has confirmed it.
            "requires_confirmation" => declined(NOT_FOUND),
            "requires_payment_method" => match &self.last_payment_error {
                Some(trouble) => Outcome::Declined(trouble.decline()),
                None => declined(NOT_FOUND),
            },
            "canceled" => declined("canceled"),
            // `processing`, and what Stripe may come to say.
            _ => Outcome::Unknown,
        }
    }

    fn asked(&self, return_url: Option<&str>) -> Outcome {
        let redirect = self.next_action.as_ref().and_then(|next| next.redirect_to_url.as_ref());
        match redirect.and_then(|redirect| redirect.url.clone()) {
            Some(url) => {
                let client_secret = self.client_secret.clone();
                Outcome::ActionRequired(Action { r#type: "redirect".to_owned(), url, client_secret }, self.reference())
            }
            None => self.asked_in_form(return_url),
        }
    }

    fn asked_in_form(&self, return_url: Option<&str>) -> Outcome {
        let (url, client_secret) = (return_url.unwrap_or_default().to_owned(), self.client_secret.clone());
        Outcome::ActionRequired(Action { r#type: SCRIPT.to_owned(), url, client_secret }, self.reference())
    }

    fn reference(&self) -> Option<String> {
        Some(self.id.clone())
    }

    /// A detail of the card that the latest charge was made with.
    fn card(&self, path: &str) -> Option<&Value> {
        self.latest_charge.pointer(&format!("/payment_method_details/card/{path}"))
    }

    /// Until when the promise holds.
    fn capture_before(&self) -> Option<Instant> {
        let seconds = self.card("capture_before")?.as_i64()?;
        seconds.checked_mul(1_000_000).map(Instant::from_micros)
    }

    /// The name of the latest charge.
    pub(super) fn charge(&self) -> Option<&str> {
        self.latest_charge.as_str().or_else(|| self.latest_charge.get("id")?.as_str())
    }

    /// Whether more than one capture is taken.
    pub(super) fn takes_captures(&self) -> bool {
        self.card("multicapture/status").and_then(Value::as_str) == Some("available")
    }

    /// Whether a capture was made already.
    pub(super) fn has_captured(&self, our_key: &str) -> bool {
        self.metadata.contains_key(&noted(our_key))
    }
}

/// Under which name a PaymentIntent bears that an operation was done: names are 40 characters long at most.
pub(super) fn noted(our_key: &str) -> String {
    let hash: String = Sha256::digest(our_key).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("kontor_{hash}")
}

/// Refunds of a PaymentIntent.
#[derive(Debug, Deserialize)]
pub(super) struct Refunds {
    #[serde(default)]
    pub data: Vec<Refund>,
}

/// A refund, as far as we read it.
#[derive(Debug, Deserialize)]
pub(super) struct Refund {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    failure_reason: Option<String>,
    /// A text, or the PaymentIntent where it was asked for.
    #[serde(default)]
    payment_intent: Value,
    #[serde(default)]
    metadata: HashMap<String, String>,
}

impl Refunds {
    /// That of a key of ours.
    pub(super) fn of(&self, our_key: &str) -> Option<&Refund> {
        self.data.iter().find(|refund| refund.metadata.get(KEY).is_some_and(|key| key == our_key))
    }
}

impl Refund {
    /// Why nothing is given back; `None` where it is, now or soon.
    pub(super) fn failure(&self) -> Option<String> {
        let failed = matches!(self.status.as_deref(), Some("failed" | "canceled"));
        failed.then(|| self.failure_reason.clone().unwrap_or_else(|| "no reason told".to_owned()))
    }
}

/// What has changed the merchant's balance.
#[derive(Debug, Deserialize)]
pub(super) struct Movements {
    #[serde(default)]
    data: Vec<Movement>,
}

#[derive(Debug, Deserialize)]
struct Movement {
    id: String,
    #[serde(default)]
    fee: i64,
    currency: String,
    /// Seconds since 1970.
    #[serde(default)]
    created: i64,
}

impl Movements {
    /// What Stripe has kept with them; `None` where there are less than so many.
    pub(super) fn fees(self, least: usize) -> Option<Vec<PaymentFee>> {
        let fee = |one: Movement| {
            let currency = one.currency.to_ascii_uppercase().parse::<Currency>().ok()?;
            let amount = amount(one.fee, currency).filter(|fee| fee.minor() > 0)?;
            let occurred_at = Instant::from_micros(one.created.saturating_mul(1_000_000));
            Some(PaymentFee { reference: one.id, amount, occurred_at })
        };
        (self.data.len() >= least).then(|| self.data.into_iter().filter_map(fee).collect())
    }
}

/// An amount in Stripe's units; `None` where it has none for it.
///
/// They are ISO 4217's minor units but for these: of the króna and the Ugandan shilling Stripe wants two decimals that are zero, of the
/// ariary none, and the last of three decimals must be zero.
pub(super) fn units(amount: Money) -> Option<i64> {
    let minor = amount.minor();
    let whole = |by: i64| (minor.checked_rem(by) == Some(0)).then_some(minor);
    match (amount.currency().code(), amount.currency().exponent()) {
        ("ISK" | "UGX", 0) => minor.checked_mul(100),
        ("MGA", 2) => whole(100)?.checked_div(100),
        (_, 3) => whole(10),
        _ => Some(minor),
    }
}

/// An amount of Stripe's.
fn amount(units: i64, currency: Currency) -> Option<Money> {
    let minor = match (currency.code(), currency.exponent()) {
        ("ISK" | "UGX", 0) => units.checked_div(100),
        ("MGA", 2) => units.checked_mul(100),
        _ => Some(units),
    };
    minor.map(|minor| Money::from_minor(minor, currency))
}

/// What a PaymentIntent is made with: always the same for a payment, so that making it again gives the first one.
pub(super) fn made_of(payment: &Payment, units: i64) -> Vec<(&'static str, String)> {
    let mut form = vec![
        ("amount", units.to_string()),
        ("currency", payment.amount.currency().code().to_ascii_lowercase()),
        ("capture_method", "manual".to_owned()),
        ("metadata[kontor_key]", payment.our_key.clone()),
        // An order may leave in several parcels, each of which is captured.
        ("payment_method_options[card][request_multicapture]", "if_available".to_owned()),
    ];
    match (&payment.details.instrument, &payment.details.return_url) {
        (Some(instrument), return_url) => {
            form.push(("payment_method", instrument.clone()));
            form.push(("automatic_payment_methods[enabled]", "true".to_owned()));
            if return_url.is_none() {
                form.push(("automatic_payment_methods[allow_redirects]", "never".to_owned()));
            }
        }
        (None, _) => {
            form.push(("metadata[kontor_form]", "true".to_owned()));
            form.push(("automatic_payment_methods[enabled]", "true".to_owned()));
        }
    }
    form
}

/// Why a notification is not believed.
pub(super) fn distrust(header: Option<&str>, secret: &str, now_seconds: i64, body: &[u8]) -> Option<&'static str> {
    let Some(header) = header else { return Some("there is no stripe-signature") };
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let Some(sent) = parts().find(|(name, _)| *name == "t").map(|(_, value)| value) else {
        return Some("the signature has no time");
    };
    let Ok(seconds) = sent.parse::<i64>() else { return Some("the signature's time is no number of seconds") };
    let fits = |signature: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(sent.as_bytes());
        mac.update(b".");
        mac.update(body);
        mac.verify_slice(&bytes(signature)?).ok()
    };
    if !parts().any(|(name, value)| name == "v1" && fits(value).is_some()) {
        return Some("the signature does not fit the body");
    }
    (now_seconds.abs_diff(seconds) > TOLERANCE_SECONDS).then_some("the notification is too old or from the future")
}

/// Bytes of hexadecimal digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// An event of Stripe's.
#[derive(Deserialize)]
struct Event {
    id: String,
    r#type: String,
    data: EventData,
}

#[derive(Deserialize)]
struct EventData {
    object: Value,
}

/// A dispute, as far as we read it.
#[derive(Deserialize)]
struct Dispute {
    id: String,
    amount: i64,
    currency: String,
    reason: String,
    status: String,
    payment_intent: Option<String>,
    #[serde(default)]
    evidence_details: Value,
    #[serde(default)]
    balance_transactions: Vec<Balance>,
}

/// What a dispute has done to the merchant's balance.
#[derive(Deserialize)]
struct Balance {
    #[serde(default)]
    fee: i64,
    currency: String,
}

/// What an event tells; `None` for what is not about a payment of ours.
///
/// # Errors
/// What is wrong with the body.
pub(super) fn told(body: &[u8]) -> Result<Option<Notification>, serde_json::Error> {
    let Event { id, r#type, data } = serde_json::from_slice(body)?;
    if r#type.starts_with("payment_intent.") {
        let intent: Intent = serde_json::from_value(data.object)?;
        let Some(our_key) = intent.metadata.get(KEY).cloned() else { return Ok(None) };
        // What is over is over; whatever else stood there then may be otherwise by now: it is looked up.
        let outcome = match intent.status.as_str() {
            "requires_capture" | "canceled" => intent.outcome(None),
            _ => Outcome::Unknown,
        };
        let provider_ref = Some(intent.id);
        return Ok(Some(Notification { id, our_key, provider_ref, outcome, dispute: None, refund_failed: None }));
    }
    if matches!(r#type.as_str(), "refund.failed" | "refund.updated" | "charge.refund.updated") {
        return Ok(not_given_back(id, serde_json::from_value(data.object)?));
    }
    if r#type.starts_with("charge.dispute.") {
        return Ok(disputed(id, serde_json::from_value(data.object)?));
    }
    Ok(None)
}

/// A refund that a bank has sent back after Stripe had taken it on.
fn not_given_back(id: String, refund: Refund) -> Option<Notification> {
    let failed = RefundFailed { our_key: refund.metadata.get(KEY)?.clone(), reason: refund.failure()? };
    Some(Notification {
        id,
        our_key: String::new(),
        provider_ref: refund.payment_intent.as_str().map(str::to_owned),
        outcome: Outcome::Unknown,
        dispute: None,
        refund_failed: Some(failed),
    })
}

fn disputed(id: String, dispute: Dispute) -> Option<Notification> {
    let state = match dispute.status.as_str() {
        "won" => DisputeState::Won,
        "lost" => DisputeState::Lost,
        // A bank that only asks, or whose question was warded off, has taken nothing.
        "prevented" => return None,
        status if status.starts_with("warning_") => return None,
        _ => DisputeState::Open,
    };
    let currency = |code: &str| code.to_ascii_uppercase().parse::<Currency>().ok();
    let told = |units, code: &str| amount(units, currency(code)?);
    let fee = dispute.balance_transactions.iter().find_map(|balance| told(balance.fee, &balance.currency));
    let due = dispute.evidence_details.get("due_by").and_then(Value::as_i64).filter(|seconds| *seconds > 0);
    let notice = DisputeNotice {
        reference: dispute.id,
        state,
        reason: dispute.reason,
        amount: told(dispute.amount, &dispute.currency),
        fee: fee.filter(|fee| fee.minor() > 0),
        respond_by: due.and_then(|seconds| seconds.checked_mul(1_000_000)).map(Instant::from_micros),
    };
    Some(Notification {
        id,
        our_key: String::new(),
        provider_ref: Some(dispute.payment_intent?),
        outcome: Outcome::Unknown,
        dispute: Some(notice),
        refund_failed: None,
    })
}

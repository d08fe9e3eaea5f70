//! Stripe's API over HTTP: forms there, JSON back.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use url::form_urlencoded;

use super::map::{Intent, Movements, Refund, Refunds, Trouble};
use crate::payments::{ProviderError, model::Decline};

/// The version of the API that this is written for.
const VERSION: &str = "2026-10-28.endive";

/// How long an answer is waited for; who asks waits less.
const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody who asks Stripe.
pub(super) struct Client {
    pub http: reqwest::Client,
    pub url: String,
    pub key: String,
}

/// Why Stripe did not do what it was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// The bank said no.
    Declined(Decline),
    /// There is no such thing, or not any more.
    Missing(String),
    /// What it is asked for is in another state.
    State(String),
    /// What payment providers are asked for in general.
    Other(ProviderError),
}

impl From<Failure> for ProviderError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Declined(decline) => Self::Refused(decline.code),
            Failure::Missing(text) | Failure::State(text) => Self::Refused(text),
            Failure::Other(error) => error,
        }
    }
}

type Told<T> = Result<T, Failure>;

/// A member of a form.
pub(super) type Field<'a> = (&'a str, String);

impl Client {
    /// Makes a PaymentIntent; again with the same key, it is the first one as it was then.
    pub async fn make(&self, key: &str, form: &[Field<'_>]) -> Told<Intent> {
        self.post("/v1/payment_intents", key, form).await
    }

    /// A PaymentIntent as it is now, with its latest charge.
    pub async fn read(&self, id: &str) -> Told<Intent> {
        self.get(&format!("/v1/payment_intents/{id}"), &[("expand[]", "latest_charge".to_owned())]).await
    }

    /// The PaymentIntent that bears a key of ours; what was made in the last minute may be missing.
    pub async fn find(&self, our_key: &str) -> Told<Option<Intent>> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(default)]
            data: Vec<Intent>,
        }
        let query = format!("metadata['{}']:'{our_key}'", super::map::KEY);
        let found: Found = self.get("/v1/payment_intents/search", &[("query", query)]).await?;
        Ok(found.data.into_iter().next())
    }

    /// Confirms it: the bank is asked.
    pub async fn confirm(&self, id: &str, key: &str, form: &[Field<'_>]) -> Told<Intent> {
        self.post(&format!("/v1/payment_intents/{id}/confirm"), key, form).await
    }

    /// Takes money.
    pub async fn capture(&self, id: &str, key: &str, form: &[Field<'_>]) -> Told<Intent> {
        self.post(&format!("/v1/payment_intents/{id}/capture"), key, form).await
    }

    /// Ends it: what was promised and not taken is given up.
    pub async fn cancel(&self, id: &str, key: &str) -> Told<Intent> {
        let form = [("cancellation_reason", "abandoned".to_owned())];
        self.post(&format!("/v1/payment_intents/{id}/cancel"), key, &form).await
    }

    /// Gives money back.
    pub async fn refund(&self, key: &str, form: &[Field<'_>]) -> Told<Refund> {
        self.post("/v1/refunds", key, form).await
    }

    /// What was given back of it.
    pub async fn refunds(&self, id: &str) -> Told<Refunds> {
        let query = [("payment_intent", id.to_owned()), ("limit", "100".to_owned())];
        self.get("/v1/refunds", &query).await
    }

    /// What a charge has changed in the merchant's balance.
    pub async fn movements(&self, charge: &str) -> Told<Movements> {
        self.get("/v1/balance_transactions", &[("source", charge.to_owned()), ("limit", "100".to_owned())]).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, key: &str, form: &[Field<'_>]) -> Told<T> {
        let request = self.http.post(self.address(path)).header("idempotency-key", key);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(encoded(form));
        self.send(request).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[Field<'_>]) -> Told<T> {
        self.send(self.http.get(format!("{}?{}", self.address(path), encoded(query)))).await
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.url.trim_end_matches('/'))
    }

    async fn send<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Told<T> {
        let request = request.bearer_auth(&self.key).header("stripe-version", VERSION).timeout(PATIENCE);
        let no_answer = |text: String| Failure::Other(ProviderError::NoAnswer(text));
        let answer = request.send().await.map_err(|error| no_answer(error.without_url().to_string()))?;
        let status = answer.status();
        let body = answer.text().await.map_err(|error| no_answer(error.without_url().to_string()))?;
        if status.is_success() {
            return serde_json::from_str(&body).map_err(|error| no_answer(format!("an answer that is none: {error}")));
        }
        Err(failure(status.as_u16(), &body))
    }
}

fn encoded(form: &[Field<'_>]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

/// What an answer that is no success says.
fn failure(status: u16, body: &str) -> Failure {
    #[derive(Deserialize, Default)]
    struct Problem {
        #[serde(default)]
        error: Trouble,
    }
    let Problem { error } = serde_json::from_str(body).unwrap_or_default();
    let text = error.text();
    match (status, error.r#type.as_deref(), error.code.as_deref()) {
        (402, ..) | (_, Some("card_error"), _) => Failure::Declined(error.decline()),
        (404, ..) => Failure::Missing(text),
        (_, _, Some("payment_intent_unexpected_state" | "charge_already_captured" | "charge_already_refunded")) => {
            Failure::State(text)
        }
        // Another request with the same key is under way; we are too many; Stripe is ill; our key is not right, which people can mend.
        (401 | 403 | 408 | 409 | 424 | 429 | 500.., ..) => {
            Failure::Other(ProviderError::NoAnswer(format!("{status}: {text}")))
        }
        _ => Failure::Other(ProviderError::Refused(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_what_can_be_done_about_it() {
        let card = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds"}}"#;
        assert!(matches!(failure(402, card), Failure::Declined(no) if no.code == "insufficient_funds" && no.retryable));
        let stolen = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"stolen_card"}}"#;
        assert!(matches!(failure(402, stolen), Failure::Declined(no) if !no.retryable));
        let state = r#"{"error":{"type":"invalid_request_error","code":"payment_intent_unexpected_state"}}"#;
        assert!(matches!(failure(400, state), Failure::State(_)));
        assert!(matches!(failure(404, "{}"), Failure::Missing(_)));
        for status in [401, 409, 429, 500, 503] {
            assert!(matches!(failure(status, "<html>"), Failure::Other(ProviderError::NoAnswer(_))), "{status}");
        }
        assert!(matches!(failure(400, "{}"), Failure::Other(ProviderError::Refused(_))));
    }

    #[test]
    fn forms_are_encoded_as_browsers_do() {
        let form = [("metadata[kontor_key]", "a b&c".to_owned())];
        assert_eq!(encoded(&form), "metadata%5Bkontor_key%5D=a+b%26c");
    }
}

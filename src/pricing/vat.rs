//! VAT numbers of customers: checked by their digits, and where one is configured by a registry that knows which were given out.
//!
//! What was found out is kept with the cart and its order as evidence: a supply to a business in another member state is untaxed
//! only where the number has been given and holds (Directive 2006/112/EC, Article 138 (1) (b)).

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::{
    error::{Code, Error, Result},
    http::State,
    kernel::{Instant, VatId},
};

crate::words! {
    /// What is known of a VAT number.
    pub enum VatIdState {
        /// Its shape and its check digits are right; no registry was asked.
        Plausible = "plausible",
        /// A registry has confirmed it.
        Confirmed = "confirmed",
        /// A registry was asked and gave no answer: it does not count until it is sent again and confirmed.
        Unanswered = "unanswered",
    }
}

/// Who says what is known of a number that no registry was asked about.
const CHECK_DIGITS: &str = "check_digits";

/// Evidence is only ever read from where it was kept.
fn kept<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<VatId, D::Error> {
    Ok(VatId::kept(&String::deserialize(deserializer)?))
}

/// A VAT number as it was checked: the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckedVatId {
    /// The number, with its country's prefix.
    #[serde(deserialize_with = "kept")]
    pub number: VatId,
    /// What is known of it.
    pub state: VatIdState,
    /// Who says so: the registry's name, or `check_digits` where none was asked.
    #[schema(example = "vies")]
    pub checked_by: String,
    /// When.
    pub checked_at: Instant,
    /// What the registry calls its answer, where it calls it something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl CheckedVatId {
    /// The number, where it counts.
    #[must_use]
    pub fn counting(&self) -> Option<&VatId> {
        (self.state != VatIdState::Unanswered).then_some(&self.number)
    }
}

/// What a registry says of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Its digits are right, and that is all that is known.
    Plausible,
    /// It was given out.
    Confirmed {
        /// What the registry calls its answer.
        reference: Option<String>,
    },
    /// It was not given out, or is not valid any more.
    Refused,
    /// There was no answer.
    NoAnswer,
}

/// The port to registries of VAT numbers. Asked in requests, never inside a transaction.
pub trait Registry: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What it says of a number whose digits are right.
    fn ask<'a>(&'a self, number: &'a VatId) -> BoxFuture<'a, Verdict>;
}

/// Nobody is asked.
struct Offline;

impl Registry for Offline {
    fn name(&self) -> &'static str {
        CHECK_DIGITS
    }

    fn ask<'a>(&'a self, _: &'a VatId) -> BoxFuture<'a, Verdict> {
        Box::pin(async { Verdict::Plausible })
    }
}

/// A registry that answers as the European Commission's VIES does over REST: `GET {url}/ms/{state}/vat/{number}`.
struct Vies {
    client: reqwest::Client,
    url: String,
    patience: Duration,
}

/// What of its answer is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ViesAnswer {
    #[serde(alias = "valid")]
    is_valid: bool,
    user_error: Option<String>,
    request_identifier: Option<String>,
}

impl ViesAnswer {
    fn verdict(self) -> Verdict {
        match (self.is_valid, self.user_error.as_deref()) {
            (true, _) => {
                let reference = self.request_identifier.filter(|reference| !reference.is_empty());
                Verdict::Confirmed { reference: reference.map(|text| text.chars().take(100).collect()) }
            }
            (false, None | Some("INVALID" | "VALID" | "INVALID_INPUT")) => Verdict::Refused,
            // The member state's own system is away, or too much is asked of it.
            (false, Some(_)) => Verdict::NoAnswer,
        }
    }
}

impl Registry for Vies {
    fn name(&self) -> &'static str {
        "vies"
    }

    fn ask<'a>(&'a self, number: &'a VatId) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            // Others have registries of their own.
            if !number.is_eu() {
                return Verdict::Plausible;
            }
            let url = format!("{}/ms/{}/vat/{}", self.url.trim_end_matches('/'), number.prefix(), number.number());
            let asked = async {
                let answer = self.client.get(url).send().await?.error_for_status()?;
                answer.json::<ViesAnswer>().await
            };
            match tokio::time::timeout(self.patience, asked).await {
                Ok(Ok(answer)) => answer.verdict(),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the registry of VAT numbers gave no answer");
                    Verdict::NoAnswer
                }
                Err(_) => Verdict::NoAnswer,
            }
        })
    }
}

/// Whether a registry is asked about a number: one is configured, and the number is one that it knows of.
#[must_use]
pub fn is_asked(state: &State, number: &VatId) -> bool {
    !state.settings.tax.vat_registry_url.is_empty() && number.is_eu()
}

/// The registry that is configured.
fn registry(state: &State) -> Arc<dyn Registry> {
    let settings = &state.settings.tax;
    match settings.vat_registry_url.as_str() {
        "" => Arc::new(Offline),
        url => Arc::new(Vies {
            client: state.client.clone(),
            url: url.to_owned(),
            patience: Duration::from_secs(settings.vat_registry_seconds),
        }),
    }
}

/// Checks a number whose digits are right.
///
/// # Errors
/// `vat_id_refused` when the registry does not know it.
pub async fn check(state: &State, number: VatId) -> Result<CheckedVatId> {
    let registry = registry(state);
    let (found, by, reference) = match registry.ask(&number).await {
        Verdict::Plausible => (VatIdState::Plausible, CHECK_DIGITS, None),
        Verdict::Confirmed { reference } => (VatIdState::Confirmed, registry.name(), reference),
        Verdict::NoAnswer => (VatIdState::Unanswered, registry.name(), None),
        Verdict::Refused => {
            let detail = format!("{number} is not a valid VAT number, says {}", registry.name());
            return Err(Error::problem(Code::VatIdRefused, detail).at("/vat_id"));
        }
    };
    let (checked_by, checked_at) = (by.to_owned(), state.clock.now());
    Ok(CheckedVatId { number, state: found, checked_by, checked_at, reference })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_read_by_the_rules_of_its_time() {
        // 101 is no Italian tax office.
        let old = r#"{"number":"IT00743111015","state":"plausible","checked_by":"check_digits","checked_at":"2026-01-01T00:00:00Z"}"#;
        assert!("IT00743111015".parse::<VatId>().is_err());
        let read: CheckedVatId = serde_json::from_str(old).unwrap();
        assert_eq!((read.number.to_string(), read.number.is_eu()), ("IT00743111015".to_owned(), true));
    }

    #[test]
    fn answers_of_the_registry_are_understood() {
        let verdict = |text: &str| serde_json::from_str::<ViesAnswer>(text).unwrap().verdict();
        let valid = r#"{"isValid":true,"requestDate":"2026-11-27","userError":"VALID","requestIdentifier":"WAPIAAA1"}"#;
        assert_eq!(verdict(valid), Verdict::Confirmed { reference: Some("WAPIAAA1".into()) });
        assert_eq!(verdict(r#"{"valid":true,"requestIdentifier":""}"#), Verdict::Confirmed { reference: None });
        assert_eq!(verdict(r#"{"isValid":false,"userError":"INVALID"}"#), Verdict::Refused);
        assert_eq!(verdict(r#"{"isValid":false,"userError":"MS_UNAVAILABLE"}"#), Verdict::NoAnswer);
        assert_eq!(verdict(r#"{"isValid":false,"userError":"MS_MAX_CONCURRENT_REQ"}"#), Verdict::NoAnswer);
    }
}

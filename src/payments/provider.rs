//! The port to payment providers: what Kontor asks of them, and which there are.
//!
//! A provider is asked in requests and jobs, never inside a transaction. Every question carries a key of ours, and a
//! provider answers a repeated key as it did the first time.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{
    disputes::DisputeNotice,
    fees::PaymentFee,
    manual::{MANUAL, Manual},
    model::{Operation, OperationKind, Outcome, Payment},
    sandbox::Sandbox,
    stored::Stored,
    stripe::Stripe,
};
use crate::{
    credit::ON_ACCOUNT,
    error::{Code, Error, Result},
    http::State,
    kernel::Money,
    stored_value::{GIFT_CARD, STORE_CREDIT},
};

/// Why a provider gave no answer, or a bad one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It could not be reached or broke off: whether it did what was asked is not known. Ask again with the same key.
    #[error("the provider gave no answer: {0}")]
    NoAnswer(String),
    /// It refuses for good: asking again does not help.
    #[error("the provider refuses: {0}")]
    Refused(String),
}

/// How long a provider is waited for at most, by customers and by jobs.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for a provider's answer as long as anybody does, or less where less is left. An answer that comes later is not lost:
/// what is asked again with the same key is answered as it was the first time.
///
/// # Errors
/// What the provider says; [`ProviderError::NoAnswer`] when it says nothing in time.
pub async fn patiently<T>(
    most: Duration,
    answer: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    let within = most.min(PATIENCE);
    let late = |_| ProviderError::NoAnswer(format!("nothing within {within:?}"));
    tokio::time::timeout(within, answer).await.map_err(late)?
}

/// What a provider tells of its own accord.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The message's id: the same when it is delivered again.
    pub id: String,
    /// Our key of the payment; empty where the provider tells its own name of it alone.
    pub our_key: String,
    /// What the provider calls the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_ref: Option<String>,
    /// What became of it.
    #[serde(default = "unknown")]
    pub outcome: Outcome,
    /// What became of a dispute of it, where the message is about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispute: Option<DisputeNotice>,
    /// A refund that it had taken on and that has come to nothing, where the message is about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_failed: Option<RefundFailed>,
}

/// A refund that a provider had taken on and that has come to nothing: the money is with it still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundFailed {
    /// Our key of the operation.
    pub our_key: String,
    /// Why, as the provider says it.
    pub reason: String,
}

const fn unknown() -> Outcome {
    Outcome::Unknown
}

/// The headers of a notification, their names in lower case.
pub type Headers = HashMap<String, String>;

/// The answer of a provider, later.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, ProviderError>>;

/// A payment provider.
pub trait Provider: Send + Sync {
    /// The word by which channels offer it.
    fn code(&self) -> &'static str;

    /// Whether nothing outside is asked: the payment is authorised as soon as it is written.
    fn is_immediate(&self) -> bool {
        false
    }

    /// Why an amount can not be paid with it; `None` when it can.
    fn refusal(&self, _amount: Money) -> Option<String> {
        None
    }

    /// What it knows the card of an instrument by, the same for each payment with it; `None` where the instrument does not tell.
    fn card(&self, _instrument: &str) -> Option<String> {
        None
    }

    /// Whether its notifications leave out until when a promise holds, which [`Provider::lookup`] tells.
    fn looks_up_ends(&self) -> bool {
        false
    }

    /// Asks for the money, keyed by the payment's `our_key`.
    fn authorise<'a>(&'a self, payment: &'a Payment) -> Answer<'a, Outcome>;

    /// Asks for a promise in the place of another one's that ends, without the customer; keyed by the new payment's `our_key`.
    fn renew<'a>(&'a self, renewed: &'a Payment, _of: &'a Payment) -> Answer<'a, Outcome> {
        self.authorise(renewed)
    }

    /// Takes promised money, keyed by the operation's `our_key`.
    fn capture<'a>(&'a self, payment: &'a Payment, operation: &'a Operation) -> Answer<'a, ()>;

    /// Gives promised money up, keyed by the operation's `our_key`. What the provider never heard of it must not promise
    /// afterwards.
    fn void<'a>(&'a self, payment: &'a Payment, operation: &'a Operation) -> Answer<'a, ()>;

    /// Gives taken money back, keyed by the operation's `our_key`.
    fn refund<'a>(&'a self, payment: &'a Payment, operation: &'a Operation) -> Answer<'a, ()>;

    /// Asks what has become of a payment. One that the provider never heard of is [`Outcome::Declined`] with the code
    /// [`NOT_FOUND`].
    fn lookup<'a>(&'a self, payment: &'a Payment) -> Answer<'a, Outcome>;

    /// What it has kept of a payment of which it has taken money so many times, by the names of its statements; `None` where it does not
    /// know of all of them yet.
    fn fees<'a>(&'a self, _payment: &'a Payment, _captures: usize) -> Answer<'a, Option<Vec<PaymentFee>>> {
        Box::pin(std::future::ready(Ok(Some(Vec::new()))))
    }

    /// Reads a notification; `None` for one that is about nothing of ours.
    ///
    /// # Errors
    /// `webhook_signature_invalid`, or what is wrong with the body.
    fn verify_webhook(&self, headers: &Headers, body: &[u8]) -> Result<Option<Notification>>;
}

/// The decline code of a payment that the provider never heard of.
pub const NOT_FOUND: &str = "not_found";

/// The providers there are. Cheap to make.
#[derive(Clone)]
pub struct Providers {
    all: [Arc<dyn Provider>; 6],
}

impl Providers {
    /// The providers of a process.
    fn new(state: &State) -> Self {
        let (db, clock) = (state.db.clone(), state.clock.clone());
        let stored = |code| Stored { code, db: db.clone(), clock: clock.clone() };
        let (cards, credit) = (Arc::new(stored(GIFT_CARD)), Arc::new(stored(STORE_CREDIT)));
        let (by_hand, on_account) = (Arc::new(Manual(MANUAL)), Arc::new(Manual(ON_ACCOUNT)));
        let stripe = Stripe::new(state.client.clone(), clock.clone(), state.settings.stripe.clone());
        let sandbox = Sandbox::new(db, clock, state.secret.clone(), state.public_url());
        Self { all: [by_hand, Arc::new(sandbox), cards, credit, on_account, Arc::new(stripe)] }
    }

    /// A provider by its code.
    #[must_use]
    pub fn get(&self, code: &str) -> Option<Arc<dyn Provider>> {
        self.all.iter().find(|provider| provider.code() == code).cloned()
    }

    /// The provider of a payment that exists.
    ///
    /// # Errors
    /// `provider_unknown` when this program does not have it any more.
    pub fn of(&self, payment: &Payment) -> Result<Arc<dyn Provider>> {
        let unknown = || Error::problem(Code::ProviderUnknown, format!("there is no provider `{}`", payment.provider));
        self.get(&payment.provider).ok_or_else(unknown)
    }

    /// Does with the provider what an operation says.
    ///
    /// # Errors
    /// What the provider says.
    pub async fn perform(&self, payment: &Payment, operation: &Operation) -> Result<(), ProviderError> {
        let provider = self.of(payment).map_err(|error| ProviderError::Refused(error.to_string()))?;
        match operation.kind {
            OperationKind::Capture => provider.capture(payment, operation).await,
            OperationKind::Void => provider.void(payment, operation).await,
            OperationKind::Refund => provider.refund(payment, operation).await,
        }
    }
}

/// The providers of a process.
#[must_use]
pub fn providers(state: &State) -> Providers {
    Providers::new(state)
}

#[cfg(test)]
mod tests {
    #[test]
    fn channels_know_every_provider() {
        let known = crate::channels::PAYMENT_METHODS;
        let stored = (crate::stored_value::GIFT_CARD, crate::stored_value::STORE_CREDIT);
        let others = (crate::credit::ON_ACCOUNT, super::super::STRIPE);
        assert_eq!(known, [super::super::MANUAL, super::super::SANDBOX, stored.0, stored.1, others.0, others.1]);
    }
}

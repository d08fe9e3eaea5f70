//! Stripe: cards and what else its PaymentIntents take, captured when goods leave.
//!
//! A PaymentIntent is made first and confirmed after: making one promises nothing, and making it again under its idempotency key gives the
//! first one. So an attempt whose answer was lost is found by making it again, and one that is over is cancelled whether Stripe had heard of
//! it or not. Stripe forgets idempotency keys after a day or more; what is older is looked for by what was noted at it (`metadata`).
//!
//! Facts are those of Stripe's API version `2026-10-28` as its official client libraries describe it: `tests/it/stripe/contract.json` lists
//! what is asked and answered, and the tests refuse anything else.

use std::time::Duration;

mod client;
mod map;

use client::{Client, Failure};
use map::Intent;

use super::{
    fees::PaymentFee,
    model::{Decline, Operation, Outcome, Payment},
    provider::{Answer, Headers, NOT_FOUND, Notification, Provider, ProviderError},
};
use crate::{
    config,
    error::{Code, Error, Result},
    kernel::{Clock, Money},
};

/// The code of the provider.
pub const STRIPE: &str = "stripe";

/// How long Stripe is trusted to know an idempotency key: it promises a day.
const KEYS_HOLD: Duration = Duration::from_secs(23 * 60 * 60);

/// The provider.
pub(super) struct Stripe {
    client: Client,
    clock: Clock,
    settings: config::Stripe,
}

impl Stripe {
    pub(super) fn new(http: reqwest::Client, clock: Clock, settings: config::Stripe) -> Self {
        let (url, key) = (settings.url.clone(), settings.secret_key.clone());
        Self { client: Client { http, url, key }, clock, settings }
    }
}

impl Stripe {
    /// Whether so much time has passed that Stripe may have forgotten a key.
    fn is_old(&self, since: crate::kernel::Instant) -> bool {
        let hold = i64::try_from(KEYS_HOLD.as_secs()).unwrap_or(i64::MAX);
        since.plus_seconds(hold) <= self.clock.now()
    }

    /// The id of a payment's PaymentIntent: the one that is known, or that its key gives. `None` where there is none.
    async fn id_of(&self, payment: &Payment) -> Result<Option<String>, Failure> {
        if let Some(id) = &payment.provider_ref {
            return Ok(Some(id.clone()));
        }
        if self.is_old(payment.created_at) {
            return Ok(self.client.find(&payment.our_key).await?.map(|intent| intent.id));
        }
        self.make(payment).await.map(|intent| Some(intent.id))
    }

    async fn make(&self, payment: &Payment) -> Result<Intent, Failure> {
        let units = map::units(payment.amount).ok_or_else(|| Failure::State(unpayable(payment.amount)))?;
        self.client.make(&payment.our_key, &map::made_of(payment, units)).await
    }

    async fn authorise(&self, payment: &Payment) -> Result<Outcome, ProviderError> {
        let return_url = payment.details.return_url.as_deref();
        let intent = match self.make(payment).await {
            Err(Failure::Declined(decline)) => return Ok(Outcome::Declined(decline)),
            // An instrument that does not exist, or was used up: whoever pays may take another.
            Err(Failure::Missing(text) | Failure::Other(ProviderError::Refused(text))) => return Ok(refused(&text)),
            made => made?,
        };
        if payment.details.instrument.is_none() {
            return Ok(intent.outcome(return_url));
        }
        let form: Vec<client::Field<'_>> = return_url.map(|url| ("return_url", url.to_owned())).into_iter().collect();
        match self.client.confirm(&intent.id, &format!("{}:confirm", payment.our_key), &form).await {
            // When its promise ends is told by the charge, which is not in this answer.
            Ok(confirmed) if confirmed.status != "requires_capture" => Ok(confirmed.outcome(return_url)),
            Ok(_) | Err(Failure::State(_)) => Ok(self.client.read(&intent.id).await?.outcome(return_url)),
            Err(Failure::Declined(decline)) => Ok(Outcome::Declined(decline)),
            Err(Failure::Missing(text) | Failure::Other(ProviderError::Refused(text))) => Ok(refused(&text)),
            Err(Failure::Other(error)) => Err(error),
        }
    }

    async fn lookup(&self, payment: &Payment) -> Result<Outcome, ProviderError> {
        let unheard = || Outcome::Declined(Decline { code: NOT_FOUND.to_owned(), retryable: true });
        let id = match self.id_of(payment).await {
            Err(Failure::Other(ProviderError::NoAnswer(text))) => return Err(ProviderError::NoAnswer(text)),
            // What can not even be made was never heard of.
            Err(_) | Ok(None) => return Ok(unheard()),
            Ok(Some(id)) => id,
        };
        Ok(self.client.read(&id).await?.outcome(payment.details.return_url.as_deref()))
    }

    async fn capture(&self, payment: &Payment, operation: &Operation) -> Result<(), ProviderError> {
        let id = self.known(payment)?;
        let intent = self.client.read(&id).await?;
        if intent.has_captured(&operation.our_key) {
            return Ok(());
        }
        if intent.status == "succeeded" {
            let text = "the card takes one capture, and that was made: the promise has ended with it".to_owned();
            return Err(ProviderError::Refused(text));
        }
        let amount = Money::from_minor(operation.amount, payment.amount.currency());
        let units = map::units(amount).ok_or_else(|| ProviderError::Refused(unpayable(amount)))?;
        let ends = payment.capture_pending.minor() <= operation.amount
            && spoken_for(payment, operation) >= payment.amount.minor();
        let mut form = vec![("amount_to_capture", units.to_string())];
        let noted = format!("metadata[{}]", map::noted(&operation.our_key));
        form.push((&noted, units.to_string()));
        // A card that takes one capture gives the rest of its promise up with it.
        if intent.takes_captures() {
            form.push(("final_capture", ends.to_string()));
        }
        self.client.capture(&id, &operation.our_key, &form).await?;
        Ok(())
    }

    async fn void(&self, payment: &Payment, operation: &Operation) -> Result<(), ProviderError> {
        let moves = payment.capture_pending.minor() > 0;
        if moves || spoken_for(payment, operation) < payment.amount.minor() {
            // A part can not be given up at Stripe: what is left when the last of the rest is taken, ends with that.
            return Ok(());
        }
        let Some(id) = self.id_of(payment).await? else { return Ok(()) };
        match self.client.cancel(&id, &operation.our_key).await {
            Ok(_) => Ok(()),
            Err(failure) => {
                let intent = self.client.read(&id).await?;
                match intent.status.as_str() {
                    "canceled" => Ok(()),
                    // The last capture has ended the promise; what was taken is another matter.
                    "succeeded" if payment.captured.minor() > 0 => Ok(()),
                    _ => Err(failure.into()),
                }
            }
        }
    }

    async fn refund(&self, payment: &Payment, operation: &Operation) -> Result<(), ProviderError> {
        let id = self.known(payment)?;
        if self.is_old(operation.created_at)
            && let Some(refund) = self.client.refunds(&id).await?.of(&operation.our_key)
        {
            return refund.failure().map_or(Ok(()), |why| Err(ProviderError::Refused(why)));
        }
        let amount = Money::from_minor(operation.amount, payment.amount.currency());
        let units = map::units(amount).ok_or_else(|| ProviderError::Refused(unpayable(amount)))?;
        let form = [
            ("payment_intent", id),
            ("amount", units.to_string()),
            ("reason", "requested_by_customer".to_owned()),
            ("metadata[kontor_key]", operation.our_key.clone()),
        ];
        let refund = self.client.refund(&operation.our_key, &form).await?;
        refund.failure().map_or(Ok(()), |why| Err(ProviderError::Refused(why)))
    }

    /// A capture is a movement of the balance, which may come to be a while after it.
    async fn fees(&self, payment: &Payment, captures: usize) -> Result<Option<Vec<PaymentFee>>, ProviderError> {
        let intent = self.client.read(&self.known(payment)?).await?;
        match intent.charge() {
            Some(charge) => Ok(self.client.movements(charge).await?.fees(captures)),
            None => Ok(None),
        }
    }

    /// The PaymentIntent of a payment that was authorised.
    fn known(&self, payment: &Payment) -> Result<String, ProviderError> {
        let unknown = || ProviderError::Refused("it is not known what Stripe calls this payment".to_owned());
        payment.provider_ref.clone().ok_or_else(unknown)
    }
}

/// How much of a payment is captured, given up, or about to be, once an operation is done.
fn spoken_for(payment: &Payment, operation: &Operation) -> i64 {
    let (captures, voids) = (payment.capture_pending.minor(), payment.void_pending.minor());
    let own = operation.amount;
    // The operation is among what is pending, but for that of a payment that never reached an order.
    let pending = captures.saturating_add(voids).max(own);
    payment.captured.minor().saturating_add(payment.voided.minor()).saturating_add(pending)
}

fn unpayable(amount: Money) -> String {
    format!("Stripe has no such amount as {amount}")
}

fn refused(text: &str) -> Outcome {
    tracing::warn!(text, "Stripe does not take this instrument");
    Outcome::Declined(Decline { code: "instrument_refused".to_owned(), retryable: true })
}

impl Provider for Stripe {
    fn code(&self) -> &'static str {
        STRIPE
    }

    fn refusal(&self, amount: Money) -> Option<String> {
        if self.settings.secret_key.is_empty() {
            return Some("Stripe is not set up here: `stripe.secret_key` is empty".to_owned());
        }
        match map::units(amount) {
            None => Some(unpayable(amount)),
            Some(0) => Some("there is nothing to pay: use `manual`".to_owned()),
            Some(_) => None,
        }
    }

    /// An event has the charge, which tells until when its promise holds, by its name alone.
    fn looks_up_ends(&self) -> bool {
        true
    }

    fn authorise<'a>(&'a self, payment: &'a Payment) -> Answer<'a, Outcome> {
        Box::pin(self.authorise(payment))
    }

    /// A card is not charged again without the customer, who has not allowed it.
    fn renew<'a>(&'a self, _renewed: &'a Payment, _of: &'a Payment) -> Answer<'a, Outcome> {
        let decline = Decline { code: "customer_required".to_owned(), retryable: false };
        Box::pin(std::future::ready(Ok(Outcome::Declined(decline))))
    }

    fn capture<'a>(&'a self, payment: &'a Payment, operation: &'a Operation) -> Answer<'a, ()> {
        Box::pin(self.capture(payment, operation))
    }

    fn void<'a>(&'a self, payment: &'a Payment, operation: &'a Operation) -> Answer<'a, ()> {
        Box::pin(self.void(payment, operation))
    }

    fn refund<'a>(&'a self, payment: &'a Payment, operation: &'a Operation) -> Answer<'a, ()> {
        Box::pin(self.refund(payment, operation))
    }

    fn lookup<'a>(&'a self, payment: &'a Payment) -> Answer<'a, Outcome> {
        Box::pin(self.lookup(payment))
    }

    fn fees<'a>(&'a self, payment: &'a Payment, captures: usize) -> Answer<'a, Option<Vec<PaymentFee>>> {
        Box::pin(self.fees(payment, captures))
    }

    fn verify_webhook(&self, headers: &Headers, body: &[u8]) -> Result<Option<Notification>> {
        let wrong = |detail: &str| Error::problem(Code::WebhookSignatureInvalid, detail.to_owned());
        if self.settings.webhook_secret.is_empty() {
            return Err(wrong("Stripe's notifications are not set up here: `stripe.webhook_secret` is empty"));
        }
        let header = headers.get("stripe-signature").map(String::as_str);
        let now = self.clock.now().micros() / 1_000_000;
        if let Some(why) = map::distrust(header, &self.settings.webhook_secret, now, body) {
            return Err(wrong(why));
        }
        map::told(body).map_err(|error| Error::problem(Code::BodyMalformed, format!("this is no event: {error}")))
    }
}

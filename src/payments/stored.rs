//! Gift cards and store credit as providers: the money is with us, so what they answer is what a transaction of ours has done. It is
//! done once under each key, however often it is asked for.

use super::{
    model::{Decline, Operation, Outcome, Payment},
    provider::{Answer, Headers, NOT_FOUND, Notification, Provider, ProviderError},
};
use crate::{
    db::{Db, Lane, Tx},
    error::{Code, Error, Result},
    kernel::{Actor, Clock, Money, ids::StoredValueId},
    stored_value::{self, By, Doing},
};

/// The provider of one kind of stored value. A payment's `provider_ref` is the value that it is taken from.
pub(super) struct Stored {
    pub code: &'static str,
    pub db: Db,
    pub clock: Clock,
}

/// The codes of these providers.
pub(super) const STORED: [&str; 2] = [stored_value::GIFT_CARD, stored_value::STORE_CREDIT];

/// What an operation does to a stored value.
type Work = fn(&mut Tx, By<'_>, Doing<'_>) -> Result<()>;

impl Stored {
    async fn book(&self, payment: &Payment, operation: &Operation, work: Work) -> Result<(), ProviderError> {
        let value = payment.provider_ref.as_deref().and_then(|value| value.parse::<StoredValueId>().ok());
        let Some(value) = value else {
            return Err(ProviderError::Refused("the payment does not say what it is taken from".to_owned()));
        };
        // Which of a family of shares it is for is known by the operation: each has set aside its own part.
        let (payment, amount, our_key, now) =
            (operation.payment, operation.amount, operation.our_key.clone(), self.clock.now());
        let written = self.db.write_in(Lane::Bulk, move |tx| {
            work(tx, (now, &Actor::System("payments")), Doing { value, payment, amount, our_key: &our_key })
        });
        // What is there does not suffice, and will not; all else is a matter of the moment.
        written.await.map_err(|error| match error {
            Error::Problem(problem) if problem.code == Code::StoredValueShort => ProviderError::Refused(problem.detail),
            other => ProviderError::NoAnswer(other.to_string()),
        })
    }
}

/// A payment of stored value is made with its order: before that there is none.
const NEVER: fn() -> Outcome = || Outcome::Declined(Decline { code: NOT_FOUND.to_owned(), retryable: true });

impl Provider for Stored {
    fn code(&self) -> &'static str {
        self.code
    }

    fn refusal(&self, _: Money) -> Option<String> {
        let how = match self.code {
            stored_value::GIFT_CARD => "put the card on the cart by its code",
            _ => "say on the cart that it is to be used",
        };
        Some(format!(
            "it pays before the payment method: {how}, and complete the cart without `payment` where nothing is left"
        ))
    }

    fn authorise<'a>(&'a self, _: &'a Payment) -> Answer<'a, Outcome> {
        Box::pin(async { Ok(NEVER()) })
    }

    fn capture<'a>(&'a self, payment: &'a Payment, operation: &'a Operation) -> Answer<'a, ()> {
        Box::pin(self.book(payment, operation, stored_value::capture))
    }

    fn void<'a>(&'a self, payment: &'a Payment, operation: &'a Operation) -> Answer<'a, ()> {
        Box::pin(self.book(payment, operation, stored_value::release_payment))
    }

    fn refund<'a>(&'a self, payment: &'a Payment, operation: &'a Operation) -> Answer<'a, ()> {
        Box::pin(self.book(payment, operation, stored_value::refund))
    }

    fn lookup<'a>(&'a self, _: &'a Payment) -> Answer<'a, Outcome> {
        Box::pin(async { Ok(NEVER()) })
    }

    fn verify_webhook(&self, _: &Headers, _: &[u8]) -> Result<Option<Notification>> {
        Err(Error::not_found("payment provider that notifies"))
    }
}

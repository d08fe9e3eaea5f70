//! Prepayment, invoice and orders on account: nobody outside is asked. The money is captured when staff or the ERP record that it came, and
//! given back when they confirm that it was paid out; only then is this provider told of it.

use super::{
    model::{Operation, Outcome, Payment},
    provider::{Answer, Headers, Notification, Provider},
};
use crate::{
    credit::ON_ACCOUNT,
    error::{Error, Result},
};

/// The code of the manual provider.
pub const MANUAL: &str = "manual";

/// The provider that trusts, by its code: of orders on account the credit is taken by whoever places them.
pub(super) struct Manual(pub &'static str);

/// Whether a provider's money comes and goes when somebody says so, and nobody outside is asked.
#[must_use]
pub fn is_by_hand(provider: &str) -> bool {
    [MANUAL, ON_ACCOUNT].contains(&provider)
}

const PROMISED: Outcome = Outcome::Authorised { provider_ref: None, expires_at: None };

impl Provider for Manual {
    fn code(&self) -> &'static str {
        self.0
    }

    fn is_immediate(&self) -> bool {
        true
    }

    fn authorise<'a>(&'a self, _: &'a Payment) -> Answer<'a, Outcome> {
        Box::pin(async { Ok(PROMISED) })
    }

    fn capture<'a>(&'a self, _: &'a Payment, _: &'a Operation) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn void<'a>(&'a self, _: &'a Payment, _: &'a Operation) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn refund<'a>(&'a self, _: &'a Payment, _: &'a Operation) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn lookup<'a>(&'a self, _: &'a Payment) -> Answer<'a, Outcome> {
        Box::pin(async { Ok(PROMISED) })
    }

    fn verify_webhook(&self, _: &Headers, _: &[u8]) -> Result<Option<Notification>> {
        Err(Error::not_found("payment provider that notifies"))
    }
}

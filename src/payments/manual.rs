//! Prepayment and invoice: nobody outside is asked. The money is captured when staff or the ERP record that it came, and
//! given back when they confirm that it was paid out; only then is this provider told of it.

use super::{
    model::{Operation, Outcome, Payment},
    provider::{Answer, Headers, Notification, Provider},
};
use crate::error::{Error, Result};

/// The code of the manual provider.
pub const MANUAL: &str = "manual";

/// The provider that trusts.
pub(super) struct Manual;

const PROMISED: Outcome = Outcome::Authorised { provider_ref: None };

impl Provider for Manual {
    fn code(&self) -> &'static str {
        MANUAL
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

    fn verify_webhook(&self, _: &Headers, _: &[u8]) -> Result<Notification> {
        Err(Error::not_found("payment provider that notifies"))
    }
}

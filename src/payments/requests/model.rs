//! What a payment request is, and which states it goes through. Pure.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::{
        Action, Instant, Money,
        ids::{ChannelId, OrderId, PaymentId, PaymentRequestId},
    },
};

crate::words! {
    /// Where a payment request stands.
    pub enum PaymentRequestState {
        /// It can be paid.
        Open = "open",
        /// Somebody is paying it.
        Paying = "paying",
        /// The money is promised, and stands for the order.
        Paid = "paid",
        /// Whoever asked does not ask any more.
        Withdrawn = "withdrawn",
        /// So much is not owed any more.
        Void = "void",
        /// Nobody has paid it in time.
        Expired = "expired",
    }
}

crate::words! {
    /// What can happen to a payment request.
    pub enum PaymentRequestCommand {
        /// Somebody begins to pay it.
        Begin = "begin",
        /// The provider promises the money.
        Pay = "pay",
        /// The attempt comes to nothing.
        Fail = "fail",
        /// Whoever asked takes it back.
        Withdraw = "withdraw",
        /// So much is not owed any more.
        Void = "void",
        /// Its time is over.
        Expire = "expire",
    }
}

use PaymentRequestCommand as C;
use PaymentRequestState as S;

/// Every transition there is: from, command, to. What is not here is refused.
pub const TRANSITIONS: &[(PaymentRequestState, PaymentRequestCommand, PaymentRequestState)] = &[
    (S::Open, C::Begin, S::Paying),
    (S::Open, C::Withdraw, S::Withdrawn),
    // These two happen by themselves: nothing is written, it is read so.
    (S::Open, C::Void, S::Void),
    (S::Open, C::Expire, S::Expired),
    (S::Paying, C::Pay, S::Paid),
    // An attempt that was begun in time may end behind it; then it is read as expired.
    (S::Paying, C::Fail, S::Open),
    // A promise that comes when so much is not owed any more is given up.
    (S::Paying, C::Void, S::Void),
];

impl PaymentRequestState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict`, with the reason.
    pub fn apply(self, command: PaymentRequestCommand) -> Result<Self> {
        let found = TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        let refused = || Error::conflict(format!("a payment request that is {self} takes no {command}"));
        found.map(|(_, _, to)| *to).ok_or_else(refused)
    }
}

/// The transition table as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> open\n");
    for (from, command, to) in TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// What is kept of a payment request beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub asked_by: String,
}

/// What somebody is asked to pay for an order, by a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PaymentRequest {
    /// Its id.
    pub id: PaymentRequestId,
    /// The order.
    pub order_id: OrderId,
    /// Where that was sold.
    pub channel_id: ChannelId,
    /// Where it stands. More states may come.
    pub state: PaymentRequestState,
    /// How much.
    pub amount: Money,
    /// The payment of the attempt that is under way, or that has paid it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// What whoever pays reads; events leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Who asks.
    pub asked_by: String,
    /// Until when its link is good.
    pub expires_at: Instant,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// What can be done with it now, or why not.
    pub actions: Vec<Action>,
}

impl PaymentRequest {
    /// How it is read at a time when so much of its order is owed and not promised, in minor units.
    #[must_use]
    pub fn seen(mut self, now: Instant, uncovered: i64) -> Self {
        if self.state == S::Open && self.expires_at <= now {
            self.state = S::Expired;
        } else if self.state == S::Open && self.amount.minor() > uncovered {
            self.state = S::Void;
        }
        self.possible()
    }

    /// The same with what can be done with it in its state.
    #[must_use]
    pub(super) fn possible(mut self) -> Self {
        let withdraw = self.state.apply(C::Withdraw).map(drop).map_err(|error| match error {
            Error::Problem(problem) => problem.detail,
            other => other.to_string(),
        });
        self.actions = vec![Action::of(C::Withdraw.as_str(), withdraw)];
        self
    }

    /// How much of what its order owes it asks for, in minor units: what others ask for beside it is less by that.
    #[must_use]
    pub fn live(&self) -> i64 {
        if matches!(self.state, S::Open | S::Paying) { self.amount.minor() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Currency;

    fn request(state: PaymentRequestState) -> PaymentRequest {
        let (now, eur): (Instant, Currency) = (Instant::from_micros(0), "EUR".parse().unwrap());
        PaymentRequest {
            id: PaymentRequestId::new(),
            order_id: OrderId::new(),
            channel_id: ChannelId::new(),
            state,
            amount: Money::from_minor(500, eur),
            payment_id: None,
            message: None,
            asked_by: "staff:sam".to_owned(),
            expires_at: now.plus_seconds(60),
            version: 1,
            created_at: now,
            updated_at: now,
            actions: Vec::new(),
        }
    }

    #[test]
    fn what_is_open_is_read_as_expired_or_void_and_nothing_else_is() {
        let (before, after) = (Instant::from_micros(0), Instant::from_micros(60_000_000));
        assert_eq!(request(S::Open).seen(before, 500).state, S::Open);
        assert_eq!(request(S::Open).seen(before, 499).state, S::Void);
        assert_eq!(request(S::Open).seen(after, 500).state, S::Expired);
        for state in S::ALL.iter().filter(|state| **state != S::Open) {
            assert_eq!(request(*state).seen(after, 0).state, *state);
        }
    }

    #[test]
    fn what_is_paid_withdrawn_or_void_stays_so() {
        for state in [S::Paid, S::Withdrawn, S::Void, S::Expired] {
            assert!(C::ALL.iter().all(|command| state.apply(*command).is_err()), "{state}");
            assert_eq!(request(state).live(), 0);
        }
        assert!(S::Paying.apply(C::Withdraw).is_err(), "nobody takes back what is being paid");
    }
}

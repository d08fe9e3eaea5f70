//! What a dispute is and which states it goes through. Pure.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::{
        Action, Instant, Money,
        ids::{ChannelId, DisputeId, OrderId, PaymentId},
    },
};

crate::words! {
    /// Where a dispute stands.
    pub enum DisputeState {
        /// The bank has taken the money back, and it can be fought for.
        Open = "open",
        /// The bank has given it back.
        Won = "won",
        /// It is lost.
        Lost = "lost",
        /// It is not fought for.
        Accepted = "accepted",
    }
}

crate::words! {
    /// What can happen to a dispute.
    pub enum DisputeCommand {
        /// Evidence is noted.
        AddEvidence = "add_evidence",
        /// The bank decides for the merchant.
        Win = "win",
        /// The bank decides for the customer.
        Lose = "lose",
        /// The merchant lets it be.
        Accept = "accept",
    }
}

use DisputeCommand as C;
use DisputeState as S;

/// Every transition there is: from, command, to. What is not here is refused.
pub const TRANSITIONS: &[(DisputeState, DisputeCommand, DisputeState)] = &[
    (S::Open, C::AddEvidence, S::Open),
    (S::Open, C::Win, S::Won),
    (S::Open, C::Lose, S::Lost),
    (S::Open, C::Accept, S::Accepted),
];

impl DisputeState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict`, with the reason.
    pub fn apply(self, command: DisputeCommand) -> Result<Self> {
        let found = TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        found
            .map(|(_, _, to)| *to)
            .ok_or_else(|| Error::conflict(format!("a dispute that is {self} takes no {command}")))
    }

    /// The command that ends a dispute so; none for one that goes on.
    #[must_use]
    pub const fn reached_by(self) -> Option<DisputeCommand> {
        match self {
            Self::Open => None,
            Self::Won => Some(C::Win),
            Self::Lost => Some(C::Lose),
            Self::Accepted => Some(C::Accept),
        }
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

/// What was noted or sent to fight for the money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = DisputeEvidence)]
pub struct Evidence {
    /// What it is, in words; gone after an erasure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where the document lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Who noted it.
    pub by: String,
    /// When.
    pub at: Instant,
}

/// What is kept of a dispute beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Details {
    pub reason: String,
    pub evidence: Vec<Evidence>,
    pub closed_at: Option<Instant>,
    pub closed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreign_amount: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreign_fee: Option<Money>,
}

/// A dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Dispute {
    /// Its id.
    pub id: DisputeId,
    /// The payment.
    pub payment_id: PaymentId,
    /// The order.
    pub order_id: OrderId,
    /// Where that was sold.
    pub channel_id: ChannelId,
    /// What the provider calls it.
    pub reference: String,
    /// Where it stands.
    pub state: DisputeState,
    /// Why the customer or their bank disputes, as the provider says it.
    #[schema(example = "fraudulent")]
    pub reason: String,
    /// How much.
    pub amount: Money,
    /// How much of that was not left of the payment when the provider told of it: given back or disputed before. It is not booked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excess: Option<Money>,
    /// What the provider keeps for it, whatever its end.
    pub fee: Money,
    /// How much the provider says, where that is in another currency than the order's; `amount` is all that was left then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreign_amount: Option<Money>,
    /// What the provider keeps for it, where that is in another currency than the order's. It is not booked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreign_fee: Option<Money>,
    /// Until when it can be answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub respond_by: Option<Instant>,
    /// What was noted to fight for the money, the oldest first.
    pub evidence: Vec<Evidence>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub opened_at: Instant,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Instant>,
    /// Who said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<String>,
    /// When it was recorded here.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// What can be done with it now, or why not.
    pub actions: Vec<Action>,
}

impl Dispute {
    /// How much of it counts on the payment and is booked, in minor units.
    #[must_use]
    pub fn counted(&self) -> i64 {
        self.amount.minor().saturating_sub(self.excess.map_or(0, |excess| excess.minor()))
    }

    /// What can be done in a state.
    #[must_use]
    pub(super) fn possible(state: DisputeState) -> Vec<Action> {
        let of = |command: &DisputeCommand| {
            let taken = state.apply(*command).map(drop).map_err(|error| match error {
                Error::Problem(problem) => problem.detail,
                other => other.to_string(),
            });
            Action::of(command.as_str(), taken)
        };
        DisputeCommand::ALL.iter().map(of).collect()
    }
}

/// A dispute about to be written.
#[derive(Debug, Clone)]
pub struct NewDispute {
    /// Its id.
    pub id: DisputeId,
    /// The payment.
    pub payment: PaymentId,
    /// The order.
    pub order: OrderId,
    /// Where that was sold.
    pub channel: ChannelId,
    /// What the provider calls it: of each payment one.
    pub reference: String,
    /// Why.
    pub reason: String,
    /// How much; more than nothing.
    pub amount: Money,
    /// How much of that is not counted, because it is not left of the payment.
    pub excess: Money,
    /// What the provider keeps for it.
    pub fee: Money,
    /// How much, and what the provider keeps for it, as it says them in another currency than the order's.
    pub foreign: (Option<Money>, Option<Money>),
    /// Until when it can be answered.
    pub respond_by: Option<Instant>,
    /// Since when.
    pub opened_at: Instant,
}

/// What a provider tells of a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DisputeNotice {
    /// What the provider calls it.
    pub reference: String,
    /// Where it stands there.
    pub state: DisputeState,
    /// Why.
    pub reason: String,
    /// How much; all that was taken and not given back, unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// What the provider keeps for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Money>,
    /// Until when it can be answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond_by: Option<Instant>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_dispute_takes_nothing_any_more() {
        for state in DisputeState::ALL {
            for command in DisputeCommand::ALL {
                assert_eq!(state.apply(*command).is_ok(), *state == DisputeState::Open, "{state} {command}");
            }
            let reached = state.reached_by().map(|command| DisputeState::Open.apply(command).unwrap());
            assert_eq!(reached.unwrap_or(DisputeState::Open), *state);
        }
    }
}

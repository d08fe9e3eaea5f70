//! What a customer's claim is. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::{
        Action, Instant, Money,
        ids::{ChannelId, FulfilmentOrderId, OrderClaimId, OrderId, ReturnId, ShipmentId},
    },
    returns::model::detail,
};

crate::words! {
    /// What a customer claims.
    pub enum OrderClaimKind {
        /// It has not come.
        Lost = "lost",
        /// It came damaged.
        Damaged = "damaged",
        /// Something else came.
        WrongItem = "wrong_item",
        /// The parcel came without it.
        Short = "short",
    }
}

crate::words! {
    /// Where a claim stands.
    pub enum OrderClaimState {
        /// Somebody has to look into it.
        Open = "open",
        /// The customer has their money, or gets the goods again.
        Settled = "settled",
        /// It was refused: its pieces can be claimed or sent back again.
        Rejected = "rejected",
    }
}

crate::words! {
    /// What can be done with a claim.
    pub enum OrderClaimCommand {
        /// Refund it, or send the goods again.
        Settle = "settle",
        /// Refuse it.
        Reject = "reject",
    }
}

crate::words! {
    /// What the customer gets.
    pub enum OrderClaimResolution {
        /// Their money.
        Refund = "refund",
        /// The goods once more: of a parcel that is lost as a whole.
        Reship = "reship",
    }
}

/// Every transition of claims there is: from, command, to.
pub const ORDER_CLAIM_TRANSITIONS: &[(OrderClaimState, OrderClaimCommand, OrderClaimState)] = &[
    (OrderClaimState::Open, OrderClaimCommand::Settle, OrderClaimState::Settled),
    (OrderClaimState::Open, OrderClaimCommand::Reject, OrderClaimState::Rejected),
];

impl OrderClaimState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn apply(self, command: OrderClaimCommand) -> Result<Self> {
        let found = ORDER_CLAIM_TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        let refused = || Error::conflict(format!("a claim that is {self} takes no `{command}`"));
        found.map(|(_, _, to)| *to).ok_or_else(refused)
    }
}

/// The transition table of claims as a Mermaid diagram.
#[must_use]
pub fn order_claims_mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> open\n");
    for (from, command, to) in ORDER_CLAIM_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// Claimed pieces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ClaimedLine {
    /// The order's line.
    pub line_no: i32,
    /// Its SKU.
    pub sku: String,
    /// How many.
    pub quantity: i64,
}

/// What is kept of a claim beside its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClaimDetails {
    pub lines: Vec<ClaimedLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    pub by_customer: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<OrderClaimResolution>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_id: Option<ReturnId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reshipped_by: Vec<FulfilmentOrderId>,
}

/// What a customer claims of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrderClaimDocument {
    /// Its id.
    pub id: OrderClaimId,
    /// The number that people use.
    pub number: String,
    /// The order.
    pub order_id: OrderId,
    /// The order's number.
    pub order_number: String,
    /// Where it was sold.
    pub channel_id: ChannelId,
    /// What is claimed. More words may come.
    pub kind: OrderClaimKind,
    /// Where it stands. More words may come.
    pub state: OrderClaimState,
    /// Since when.
    pub state_since: Instant,
    /// The parcel it is about, where that was said. What its carrier says of it stands at `/v1/ops/shipments/{id}/claim`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<ShipmentId>,
    /// Of which lines.
    pub lines: Vec<ClaimedLine>,
    /// What the customer says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the customer has opened it themselves.
    pub by_customer: bool,
    /// What the customer got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<OrderClaimResolution>,
    /// Why it was so decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The return that was booked with a refund; nothing has come back with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_id: Option<ReturnId>,
    /// What goes back to the customer, or is not owed any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The fulfilment orders that send the goods again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reshipped_by: Vec<FulfilmentOrderId>,
    /// Rises with every change.
    pub version: i64,
    /// When it was opened.
    pub opened_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl OrderClaimDocument {
    /// How many pieces of each line it is about.
    #[must_use]
    pub fn pieces(&self) -> BTreeMap<i32, i64> {
        self.lines.iter().map(|line| (line.line_no, line.quantity)).collect()
    }

    /// Goes to where a command leads.
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn advance(&mut self, command: OrderClaimCommand, now: Instant) -> Result<()> {
        self.state = self.state.apply(command)?;
        (self.state_since, self.updated_at, self.version) = (now, now, self.version + 1);
        Ok(())
    }

    /// What can be done with it now, or why not.
    #[must_use]
    pub fn actions(&self) -> Vec<Action> {
        let action = |command: &OrderClaimCommand| {
            Action::of(command.as_str(), self.state.apply(*command).map(|_| ()).map_err(|error| detail(&error)))
        };
        OrderClaimCommand::ALL.iter().map(action).collect()
    }
}

//! What a supplier has answered: pure.

use serde::{Deserialize, Serialize};

use crate::{
    customers::Address,
    error::{Error, Result},
    fulfilment::model::FulfilmentOrder,
    kernel::{Instant, Money},
};

crate::words! {
    /// What a supplier has said of an order.
    pub enum SupplierState {
        /// Nothing yet.
        Pending = "pending",
        /// They will ship it.
        Acknowledged = "acknowledged",
        /// They will not: it is to come from elsewhere.
        Refused = "refused",
    }
}

crate::words! {
    /// What a supplier can say.
    pub enum SupplierCommand {
        /// That they will ship it, and by when; said again, it moves the day.
        Acknowledge = "acknowledge",
        /// That they will not.
        Refuse = "refuse",
        /// What they charge.
        Invoice = "invoice",
    }
}

use SupplierCommand as C;
use SupplierState as S;

/// Every transition there is: from, command, to. What is not here is refused.
pub const ORDER_TRANSITIONS: &[(SupplierState, SupplierCommand, SupplierState)] = &[
    (S::Pending, C::Acknowledge, S::Acknowledged),
    (S::Pending, C::Refuse, S::Refused),
    // Some suppliers never acknowledge: the goods come, and then the bill.
    (S::Pending, C::Invoice, S::Pending),
    (S::Acknowledged, C::Acknowledge, S::Acknowledged),
    (S::Acknowledged, C::Refuse, S::Refused),
    (S::Acknowledged, C::Invoice, S::Acknowledged),
    // A part may have been shipped before the rest was refused.
    (S::Refused, C::Invoice, S::Refused),
];

impl SupplierState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict` when the state does not take it.
    pub fn apply(self, command: SupplierCommand) -> Result<Self> {
        let found = ORDER_TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        let refused =
            || Error::conflict(format!("the supplier's order is {self}: `{command}` is not possible any more"));
        found.map(|(_, _, to)| *to).ok_or_else(refused)
    }
}

/// The transition table as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> pending\n");
    for (from, command, to) in ORDER_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// What is kept of a supplier's answer beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct SupplierAnswer {
    /// What the supplier calls the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// When they will ship it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ships_at: Option<Instant>,
    /// What they say about it: why it was refused, say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What has been said of a fulfilment order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    pub state: SupplierState,
    pub answer: SupplierAnswer,
    /// 0 where nothing has been said.
    pub version: i64,
}

impl Default for Answered {
    fn default() -> Self {
        Self { state: SupplierState::Pending, answer: SupplierAnswer::default(), version: 0 }
    }
}

/// What a supplier charges us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SupplierInvoice {
    /// Its number, as the supplier gave it.
    pub number: String,
    /// Without tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
    /// When it was issued.
    pub issued_at: Instant,
    /// When it was recorded here.
    pub recorded_at: Instant,
}

impl SupplierInvoice {
    /// Whether another tells of the same, whenever it was recorded.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        (&self.number, self.net, self.tax, self.issued_at) == (&other.number, other.net, other.tax, other.issued_at)
    }
}

/// The order to a supplier: a fulfilment order at their location, with what they have said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SupplierOrder {
    /// What they have to ship.
    #[serde(flatten)]
    pub fulfilment_order: FulfilmentOrder,
    /// What they have said. More words may come.
    pub supplier_state: SupplierState,
    /// And how.
    pub answer: SupplierAnswer,
    /// What they charge.
    pub invoices: Vec<SupplierInvoice>,
    /// How it is shipped: the shipping method's code. Only where one is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipping_method: Option<String>,
    /// Where to. Only where one is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ship_to: Option<Address>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_not_taken_up_again() {
        assert_eq!(S::Pending.apply(C::Acknowledge).unwrap(), S::Acknowledged);
        assert_eq!(S::Acknowledged.apply(C::Refuse).unwrap(), S::Refused);
        assert!(S::Refused.apply(C::Acknowledge).is_err() && S::Refused.apply(C::Refuse).is_err());
        let all = S::ALL.iter().all(|state| state.apply(C::Invoice).unwrap() == *state);
        assert!(all, "a bill changes no answer");
    }
}

//! What an exchange in advance is, and where it can go. Pure.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::{
        Instant, Money,
        ids::{CartId, OrderId},
    },
};

crate::words! {
    /// Where an exchange in advance stands. More words may come.
    pub enum AdvanceState {
        /// Its cart is made, and not ordered yet.
        Open = "open",
        /// It is ordered: its goods may leave, and what is promised for them is not taken.
        Ordered = "ordered",
        /// What came back has paid it, as far as it reaches.
        Evened = "evened",
        /// Nothing came back for it: it is paid as any order.
        Charged = "charged",
        /// It was not ordered.
        Dropped = "dropped",
    }
}

crate::words! {
    /// What can happen to an exchange in advance.
    pub enum AdvanceCommand {
        /// Its cart has become an order.
        Order = "order",
        /// The return is settled as an exchange.
        Even = "even",
        /// The return has ended otherwise.
        Charge = "charge",
        /// The return has ended, or its cart, before it was ordered.
        Drop = "drop",
    }
}

/// Every transition of exchanges in advance there is: from, command, to.
pub const ADVANCE_TRANSITIONS: &[(AdvanceState, AdvanceCommand, AdvanceState)] = {
    use AdvanceCommand as C;
    use AdvanceState as S;
    &[
        (S::Open, C::Order, S::Ordered),
        (S::Open, C::Drop, S::Dropped),
        // It was being paid when the return ended.
        (S::Open, C::Charge, S::Charged),
        (S::Ordered, C::Even, S::Evened),
        (S::Ordered, C::Charge, S::Charged),
    ]
};

impl AdvanceState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn apply(self, command: AdvanceCommand) -> Result<Self> {
        let found = ADVANCE_TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        let refused = || Error::conflict(format!("an exchange in advance that is {self} takes no `{command}`"));
        found.map(|(_, _, to)| *to).ok_or_else(refused)
    }
}

/// The transition table of exchanges in advance as a Mermaid diagram.
#[must_use]
pub fn advances_mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> open\n");
    for (from, command, to) in ADVANCE_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// What is sent in exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ExchangedLine)]
pub struct AdvanceLine {
    /// Its SKU.
    pub sku: String,
    /// How many.
    pub quantity: i64,
}

/// An exchange whose goods leave before those come back that they are exchanged for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ExchangeAdvance)]
pub struct Advance {
    /// The cart that is ordered.
    pub cart_id: CartId,
    /// Where it stands. More words may come.
    pub state: AdvanceState,
    /// What is sent.
    pub lines: Vec<AdvanceLine>,
    /// How it is shipped, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_method: Option<String>,
    /// Whether the customer's store credit pays of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub store_credit: bool,
    /// Whether the customer pays for its shipping.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub charge_shipping: bool,
    /// The order that came of the cart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_number: Option<String>,
    /// What it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
    /// What of that the goods have paid that came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_by_return: Option<Money>,
    /// Who has begun it.
    pub by: String,
    /// When.
    pub at: Instant,
}

impl Advance {
    /// Goes to where a command leads.
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn advance(&mut self, command: AdvanceCommand) -> Result<()> {
        self.state = self.state.apply(command)?;
        Ok(())
    }

    /// The order whose money waits for the return.
    #[must_use]
    pub fn waiting(&self) -> Option<OrderId> {
        self.order_id.filter(|_| self.state == AdvanceState::Ordered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_goes_nowhere_and_each_command_leads_to_one_state() {
        for state in AdvanceState::ALL {
            let ended = !matches!(state, AdvanceState::Open | AdvanceState::Ordered);
            assert_eq!(AdvanceCommand::ALL.iter().all(|command| state.apply(*command).is_err()), ended, "{state}");
        }
        for (from, command, _) in ADVANCE_TRANSITIONS {
            let same = ADVANCE_TRANSITIONS.iter().filter(|(state, with, _)| (state, with) == (from, command));
            assert_eq!(same.count(), 1, "{from} {command}");
        }
    }
}

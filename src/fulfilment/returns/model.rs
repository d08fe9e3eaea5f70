//! What a return is. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    fulfilment::{model::Pieces, till::GiveTo},
    kernel::{
        Actor, Currency, Instant, Money, UnitPrice,
        ids::{ChannelId, CustomerId, LocationId, OrderClaimId, OrderId, ReturnId, ReturnRequestId, VariantId},
    },
};

crate::words! {
    /// Where a return stands.
    pub enum ReturnState {
        /// The goods are back; no money is given back for them here.
        Received = "received",
        /// The goods are back and the money is on its way.
        RefundPending = "refund_pending",
        /// The goods are back and nothing is owed for them.
        Refunded = "refunded",
    }
}

crate::words! {
    /// What can happen to a return.
    pub enum ReturnCommand {
        /// Nothing is owed for it any more.
        Refund = "refund",
    }
}

/// Every transition of returns there is: from, command, to.
pub const RETURN_TRANSITIONS: &[(ReturnState, ReturnCommand, ReturnState)] =
    &[(ReturnState::RefundPending, ReturnCommand::Refund, ReturnState::Refunded)];

impl ReturnState {
    /// The state after a command; `None` when the state does not take it.
    #[must_use]
    pub fn apply(self, command: ReturnCommand) -> Option<Self> {
        let found = RETURN_TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        found.map(|(_, _, to)| *to)
    }
}

/// The transition table of returns as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n");
    for first in ReturnState::ALL {
        text.push_str(&format!("    [*] --> {first}\n"));
    }
    for (from, command, to) in RETURN_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// A line of a return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReturnedLine {
    /// The order's line, when the order is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_no: Option<i32>,
    /// What came back.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// How many.
    pub quantity: i64,
    /// What was paid for them, without tax; unknown without an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<Money>,
    /// The tax on it; unknown without an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Money>,
    /// With tax.
    pub gross: Money,
    /// What was kept of their price, with tax: a fee for restocking, or for the way back. Absent where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deducted: Option<Money>,
}

/// The price of shipping, given back with a return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReturnedShipping {
    /// Without tax.
    pub net: Money,
    /// The tax on it.
    pub tax: Money,
    /// With tax.
    pub gross: Money,
}

/// What is kept of a return beside its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReturnDetails {
    pub order_number: Option<String>,
    pub lines: Vec<ReturnedLine>,
    pub refund: bool,
    pub restocked: bool,
    pub location_id: Option<LocationId>,
    pub reason: Option<String>,
    pub system: Option<String>,
    pub reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<ReturnRequestId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<OrderClaimId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping: Option<ReturnedShipping>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_credit: Option<Money>,
}

/// Goods that came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Return {
    /// Its id.
    pub id: ReturnId,
    /// The number that people use.
    pub number: String,
    /// The order, when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The order's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_number: Option<String>,
    /// Where it was sold.
    pub channel_id: ChannelId,
    /// Whose they were, when they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// Where it stands. More states may come.
    pub state: ReturnState,
    /// What was paid for the goods.
    pub amount: Money,
    /// Whether that is given back, or taken off what is owed.
    pub refund: bool,
    /// Whether the goods went back into stock.
    pub restocked: bool,
    /// Where they were received, when that was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_id: Option<LocationId>,
    /// Why they came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The foreign system whose document it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// What that system calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The return request that it settles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<ReturnRequestId>,
    /// The claim that it settles: nothing has come back then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<OrderClaimId>,
    /// What of the order's shipping is given back with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipping: Option<ReturnedShipping>,
    /// What of the amount the customer has got as store credit, and not as money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_credit: Option<Money>,
    /// What came back.
    pub lines: Vec<ReturnedLine>,
    /// Rises with every change.
    pub version: i64,
    /// When it came back.
    pub occurred_at: Instant,
    /// When it was recorded here.
    pub recorded_at: Instant,
}

impl Return {
    /// Whether somebody may see it: of their channels, and at their locations where it names one.
    #[must_use]
    pub fn is_visible_to(&self, actor: &Actor) -> bool {
        actor.sees_channel(self.channel_id) && self.location_id.is_none_or(|location| actor.sees_location(location))
    }
}

/// Where returned goods were sold.
#[derive(Debug, Clone, Copy)]
pub enum Origin {
    /// With an order of ours.
    Order(OrderId),
    /// With none that is known.
    Unknown {
        /// Where.
        channel: ChannelId,
        /// In which currency.
        currency: Currency,
        /// To whom.
        customer: Option<CustomerId>,
    },
}

/// A line about to be taken back.
#[derive(Debug, Clone)]
pub struct NewReturnLine {
    /// The order's line.
    pub line_no: Option<i32>,
    /// The SKU, where there is no order.
    pub sku: Option<String>,
    /// How many.
    pub quantity: i64,
    /// The price of one, tax included, where there is no order.
    pub unit_price: Option<UnitPrice>,
    /// What they are taken back for, all together, when it is not the pieces' share of what was paid; with tax or without,
    /// as the order's prices are.
    pub amount: Option<Money>,
    /// What is kept of their price, with tax, in minor units: at most all of it.
    pub deduct: i64,
}

/// What a return settles that was asked for before.
#[derive(Debug, Clone)]
pub struct Settles {
    /// The request to send them back.
    pub request: Option<ReturnRequestId>,
    /// The claim that says they are lost, damaged, wrong or missing.
    pub claim: Option<OrderClaimId>,
    /// How many pieces of each line the request has kept for itself until now: `coming_back`. None is any more.
    pub kept: BTreeMap<i32, i64>,
    /// How many pieces of each line the claim is about: `claimed`. None is any more.
    pub claimed: BTreeMap<i32, i64>,
    /// Whether the order's shipping is given back too, where it was not yet.
    pub shipping: bool,
}

impl Settles {
    /// How many pieces of a line it may take back beside those that anybody may.
    pub(super) fn own(&self, line_no: i32) -> i64 {
        let of = |pieces: &BTreeMap<i32, i64>| pieces.get(&line_no).copied().unwrap_or_default();
        of(&self.kept) + of(&self.claimed)
    }
}

/// How many of the pieces `from..to` of all that ever come back of a line go to each of the places that sent so many of it, each place
/// once: those that sent first get theirs first. What is more than was sent goes to the first.
pub(super) fn spread<P: Copy + PartialEq>(sent: &[(P, i64)], (from, to): (i64, i64)) -> Vec<(P, i64)> {
    let mut parts: Vec<(P, i64)> = Vec::new();
    let mut add = |place: P, pieces: i64| match parts.iter_mut().find(|(known, _)| *known == place) {
        _ if pieces <= 0 => {}
        Some((_, sum)) => *sum += pieces,
        None => parts.push((place, pieces)),
    };
    let mut before = 0;
    for (place, pieces) in sent {
        add(*place, (before + pieces).min(to) - from.max(before));
        before += pieces;
    }
    if let Some((first, _)) = sent.first() {
        add(*first, to - from.max(before));
    }
    parts
}

/// Goods about to be taken back.
#[derive(Debug, Clone)]
pub struct NewReturn {
    /// Its id.
    pub id: ReturnId,
    /// Its number.
    pub number: String,
    /// Where they were sold.
    pub origin: Origin,
    /// What comes back.
    pub lines: Vec<NewReturnLine>,
    /// Which bundles of the order come back whole.
    pub bundles: Vec<Pieces>,
    /// Whether it can be sold again.
    pub restock: bool,
    /// Where it was received; where it left from, unless told.
    pub location: Option<LocationId>,
    /// Whether what was paid for it is given back.
    pub refund: bool,
    /// Whether what goes back by hand has been paid out already.
    pub paid_out: bool,
    /// Where what was paid for it goes; absent: the way it came.
    pub give_to: Option<GiveTo>,
    /// Why.
    pub reason: Option<String>,
    /// The foreign system whose document it is, and what that calls it: booked once.
    pub reference: Option<(String, String)>,
    /// When, if that was not now.
    pub occurred_at: Option<Instant>,
    /// The return request that it settles.
    pub settles: Option<Settles>,
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn what_comes_back_goes_to_where_it_left_from() {
        let sent = [('a', 2), ('b', 3), ('a', 1)];
        assert_eq!(spread(&sent, (0, 6)), [('a', 3), ('b', 3)]);
        assert_eq!(spread(&sent, (0, 1)), [('a', 1)]);
        assert_eq!(spread(&sent, (1, 3)), [('a', 1), ('b', 1)]);
        assert_eq!(spread(&sent, (3, 6)), [('b', 2), ('a', 1)]);
        assert_eq!(spread(&sent, (5, 8)), [('a', 3)]);
        assert_eq!(spread(&sent, (2, 2)), []);
        assert_eq!(spread::<char>(&[], (0, 2)), []);
        // However many returns it comes in, all of it is back in the end where it was.
        for cut in 0..=6 {
            let both = [spread(&sent, (0, cut)), spread(&sent, (cut, 6))].concat();
            let sum = |of: char| both.iter().filter(|(place, _)| *place == of).map(|(_, pieces)| *pieces).sum::<i64>();
            assert_eq!((sum('a'), sum('b')), (3, 3), "{cut}");
        }
    }
}

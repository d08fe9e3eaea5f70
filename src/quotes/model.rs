//! What a quote is. Pure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    customers::Address,
    error::{Error, Result},
    kernel::{
        Currency, Instant, Per, PricePer, Quantity, Rounding, UnitPrice,
        ids::{CartId, ChannelId, CompanyId, CustomerId, OrderId, QuoteId, VariantId},
        text::{Email, Note},
    },
};

crate::words! {
    /// Where a quote stands.
    pub enum QuoteState {
        /// Staff have to offer.
        Requested = "requested",
        /// The customer has to decide.
        Offered = "offered",
        /// The customer has accepted, and orders.
        Accepted = "accepted",
        /// There is an order.
        Ordered = "ordered",
        /// The customer does not want the offer, or staff do not make one.
        Declined = "declined",
        /// Whoever made the last step has taken it back.
        Withdrawn = "withdrawn",
        /// Nobody has accepted, or ordered, in time.
        Expired = "expired",
    }
}

crate::words! {
    /// What happens to a quote.
    pub enum QuoteCommand {
        /// Staff offer, or offer something else.
        Offer = "offer",
        /// The customer asks for something else.
        Counter = "counter",
        /// The customer accepts.
        Accept = "accept",
        /// The customer does not accept, or staff do not offer.
        Decline = "decline",
        /// The customer takes the request back, or staff the offer.
        Withdraw = "withdraw",
        /// Its time is over.
        Expire = "expire",
        /// Its order is placed.
        Order = "order",
    }
}

use QuoteCommand as C;
use QuoteState as S;

/// Every transition there is: from, command, to. What is not here is refused.
pub const TRANSITIONS: &[(QuoteState, QuoteCommand, QuoteState)] = &[
    (S::Requested, C::Offer, S::Offered),
    (S::Requested, C::Decline, S::Declined),
    (S::Requested, C::Withdraw, S::Withdrawn),
    (S::Offered, C::Offer, S::Offered),
    (S::Offered, C::Counter, S::Requested),
    (S::Offered, C::Accept, S::Accepted),
    (S::Offered, C::Decline, S::Declined),
    (S::Offered, C::Withdraw, S::Withdrawn),
    (S::Offered, C::Expire, S::Expired),
    (S::Accepted, C::Accept, S::Accepted),
    (S::Accepted, C::Order, S::Ordered),
    (S::Accepted, C::Expire, S::Expired),
];

impl QuoteState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn apply(self, command: QuoteCommand) -> Result<Self> {
        let found = TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        found.map(|(_, _, to)| *to).ok_or_else(|| Error::conflict(format!("a quote that is {self} takes no {command}")))
    }
}

/// The transition table as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> requested\n");
    for (from, command, to) in TRANSITIONS.iter().filter(|(from, _, to)| from != to) {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// A line of a quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuoteLine {
    /// Its number.
    pub line_no: i32,
    /// What.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// How many.
    #[schema(value_type = i64)]
    pub quantity: Quantity,
    /// What a unit cost when it was asked for, or as many as `list_per` says; absent where nothing was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_price: Option<UnitPrice>,
    /// How many units that price is for; absent where it is one.
    #[serde(default, skip_serializing_if = "Per::is_one")]
    pub list_per: Per,
    /// What is offered for a unit, or for as many as `per` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<UnitPrice>,
    /// How many units the offered price is for; absent where it is one.
    #[serde(default, skip_serializing_if = "Per::is_one")]
    pub per: Per,
}

/// A step of a negotiation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuoteRound {
    /// What was done.
    pub command: String,
    /// By whom: `customer`, or which member of staff.
    pub by: String,
    /// When.
    pub at: Instant,
    /// What was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What is kept of a quote beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Details {
    /// The lines.
    pub lines: Vec<QuoteLine>,
    /// What is offered beside the prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<String>,
    /// What has been done and said.
    pub rounds: Vec<QuoteRound>,
    /// Who orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Where it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<Address>,
    /// Who pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing_address: Option<Address>,
    /// How it is shipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipping_method: Option<String>,
    /// The company's own number of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purchase_order: Option<String>,
}

/// A quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Quote {
    /// Its id.
    pub id: QuoteId,
    /// The number that people use.
    pub number: String,
    /// Where it is sold.
    pub channel_id: ChannelId,
    /// Who asks.
    pub customer_id: CustomerId,
    /// For which company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_id: Option<CompanyId>,
    /// The cart that it becomes when it is accepted.
    pub cart_id: CartId,
    /// Where it stands.
    pub state: QuoteState,
    /// The currency of its prices.
    pub currency: Currency,
    /// Until when the offer can be accepted and ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Instant>,
    /// The order that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// What it is about.
    pub lines: Vec<QuoteLine>,
    /// What is offered beside the prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<String>,
    /// What has been done and said, oldest first.
    pub rounds: Vec<QuoteRound>,
    /// What is kept for the order.
    #[serde(skip)]
    pub(super) to: Details,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// The most rounds of a quote: who has not agreed by then talks. Whatever ends it is always possible.
const MOST_ROUNDS: usize = 50;

impl Quote {
    /// Whether it was offered at this version, and nothing else has been offered since: once it is accepted, or ordered, that stays so.
    pub(super) const fn is_offer(&self, version: i64) -> bool {
        let steps_since = match self.state {
            QuoteState::Accepted => 1,
            QuoteState::Ordered => 2,
            _ => 0,
        };
        // Whoever reads it again knows what it has become.
        version == self.version || version == self.version - steps_since
    }

    /// What is kept beside its columns.
    pub(super) fn details(&self) -> Details {
        Details { lines: self.lines.clone(), terms: self.terms.clone(), rounds: self.rounds.clone(), ..self.to.clone() }
    }

    /// The quote after a command.
    ///
    /// # Errors
    /// `state_conflict`, also for another offer or counter-offer after so many rounds.
    pub(super) fn after(
        &self,
        command: QuoteCommand,
        (by, at): (String, Instant),
        message: Option<&str>,
    ) -> Result<Self> {
        if matches!(command, C::Offer | C::Counter) && self.rounds.len() >= MOST_ROUNDS {
            return Err(Error::conflict(format!("a quote has at most {MOST_ROUNDS} rounds")));
        }
        let mut after = Self { state: self.state.apply(command)?, updated_at: at, ..self.clone() };
        let message = message.map(str::to_owned);
        after.rounds.push(QuoteRound { command: command.as_str().to_owned(), by, at, message });
        Ok(after)
    }

    /// The quote with what is offered.
    ///
    /// # Errors
    /// `line_unknown`, `invalid_value`.
    pub(super) fn offered(mut self, offer: &Offer, now: Instant) -> Result<Self> {
        if offer.valid_until <= now {
            return Err(Error::invalid("/valid_until", "expected a time that is to come"));
        }
        for (place, wanted) in offer.lines.iter().enumerate() {
            let at = format!("/lines/{place}");
            let line = self.lines.iter_mut().find(|line| line.line_no == wanted.line_no);
            let unknown = || Error::problem(crate::error::Code::LineUnknown, "the quote has no such line");
            let line = line.ok_or_else(|| unknown().at(format!("{at}/line_no")))?;
            if wanted.unit_price.currency() != self.currency || wanted.unit_price.scaled() < 0 {
                let detail = format!("expected a price of 0 or more in {}", self.currency);
                return Err(Error::invalid(format!("{at}/unit_price"), detail));
            }
            (line.price, line.per) = (Some(wanted.unit_price), wanted.per);
            if let Some(quantity) = wanted.quantity {
                if quantity.is_zero() {
                    return Err(Error::invalid(format!("{at}/quantity"), "expected at least 1"));
                }
                line.quantity = quantity;
            }
        }
        if let Some(line) = self.lines.iter().find(|line| line.price.is_none()) {
            return Err(Error::invalid("/lines", format!("say what line {} ({}) costs", line.line_no, line.sku)));
        }
        self.valid_until = Some(offer.valid_until);
        self.terms = offer.terms.as_ref().map(ToString::to_string);
        Ok(self)
    }
}

/// What is given away beside the prices that the customer was shown, in minor units.
#[must_use]
pub(super) fn given_away(lines: &[QuoteLine]) -> i64 {
    let of = |price: Option<UnitPrice>, per: Per, line: &QuoteLine| {
        price.and_then(|price| PricePer { price, per }.amount(line.quantity, Rounding::HalfUp)).unwrap_or_default()
    };
    let less = |line: &QuoteLine| (of(line.list_price, line.list_per, line) - of(line.price, line.per, line)).max(0);
    lines.iter().map(less).fold(0, i64::saturating_add)
}

/// A line of an offer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = QuoteOfferLine, example = json!({"line_no": 1, "unit_price": {"amount": "17.50", "currency": "EUR"}}))]
pub struct OfferLine {
    /// Which line.
    pub line_no: i32,
    /// What a unit of it costs, or as many as `per` says.
    pub unit_price: UnitPrice,
    /// How many units the price is for.
    #[serde(default)]
    pub per: Per,
    /// How many, where that is not what was asked for.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000_000_000)]
    pub quantity: Option<Quantity>,
}

/// What staff offer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = QuoteOffer, example = json!({"lines": [{"line_no": 1, "unit_price": {"amount": "17.50", "currency": "EUR"}}],
    "valid_until": "2030-12-31T23:00:00Z", "terms": "delivered to the kerb", "message": "as we discussed"}))]
pub struct Offer {
    /// What the lines cost. Each needs a price; a later offer may leave out lines that stay as they were offered.
    #[schema(max_items = 1000)]
    pub lines: Vec<OfferLine>,
    /// Until when it can be accepted and ordered.
    pub valid_until: Instant,
    /// What is offered beside the prices.
    #[schema(value_type = Option<String>)]
    pub terms: Option<Note<2000>>,
    /// What the customer is told.
    #[schema(value_type = Option<String>)]
    pub message: Option<Note<2000>>,
}

/// What somebody says with a step.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = QuoteMessage, example = json!({"message": "we need them by May"}))]
pub struct Message {
    /// What.
    #[schema(value_type = Option<String>)]
    pub message: Option<Note<2000>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_stays_so() {
        for state in [S::Ordered, S::Declined, S::Withdrawn, S::Expired] {
            assert!(QuoteCommand::ALL.iter().all(|command| state.apply(*command).is_err()), "{state}");
        }
        assert!(S::Requested.apply(C::Accept).is_err() && S::Accepted.apply(C::Withdraw).is_err());
    }
}

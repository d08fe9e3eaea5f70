//! What an amendment is, what can be edited by it, and what follows from its edits. Pure.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    carts::Promise,
    customers::Address,
    error::{Code, Error, Result},
    kernel::{
        Actor, Capabilities, Instant, Money, Quantity, UnitPrice,
        ids::{AmendmentId, OrderId, VariantId},
        text::{Note, Text},
    },
    pricing::{
        Repriced,
        model::{AppliedPromotion, LineShare, LineTotals, ShippingTotals, Step},
    },
};

crate::words! {
    /// Where an amendment stands.
    pub enum AmendmentState {
        /// It is being worked out: nothing of the order has changed.
        Open = "open",
        /// The order was changed as it says.
        Confirmed = "confirmed",
        /// Somebody has given it up.
        Abandoned = "abandoned",
        /// Its time was over before anybody confirmed it.
        Expired = "expired",
    }
}

crate::words! {
    /// What is done with an amendment.
    pub enum AmendmentCommand {
        /// Change what it would change.
        Edit = "edit",
        /// Look at it on the order as it is now.
        Preview = "preview",
        /// Change the order.
        Confirm = "confirm",
        /// Give it up.
        Abandon = "abandon",
        /// Its time is over.
        Expire = "expire",
    }
}

/// Every transition there is: from, command, to.
pub(super) const TRANSITIONS: &[(AmendmentState, AmendmentCommand, AmendmentState)] = &[
    (AmendmentState::Open, AmendmentCommand::Edit, AmendmentState::Open),
    (AmendmentState::Open, AmendmentCommand::Preview, AmendmentState::Open),
    (AmendmentState::Open, AmendmentCommand::Confirm, AmendmentState::Confirmed),
    (AmendmentState::Open, AmendmentCommand::Abandon, AmendmentState::Abandoned),
    (AmendmentState::Open, AmendmentCommand::Expire, AmendmentState::Expired),
];

impl AmendmentState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict` when the state does not take it.
    pub fn apply(self, command: AmendmentCommand) -> Result<Self> {
        let found = TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        let refused = || Error::conflict(format!("the amendment is {self}: `{command}` is not possible any more"));
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

/// Customers act as this: what they may change is decided by the shop's settings, and not by places and ceilings of staff.
pub(super) const CUSTOMER: Actor = Actor::System("customer");

/// What is told of why a customer has changed an order.
pub(super) const BY_CUSTOMER: &str = "the customer has changed the order";

/// What is to be different about an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = AmendmentEdit, example = json!({"type": "set_quantity", "line_no": 1, "quantity": 1}))]
pub enum Edit {
    /// Sell something more: a line of its own, at the price of this moment for this customer.
    AddLine {
        /// The SKU.
        #[schema(value_type = String)]
        sku: Text<100>,
        /// How many.
        quantity: Quantity,
        /// The key of the delivery that it is of; the first when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        delivery: Option<Text<50>>,
        /// Another price than the list's. Needs the scope `prices:override` and a `reason`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit_price: Option<UnitPrice>,
        /// Why that price.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        reason: Option<Note<500>>,
    },
    /// Cancel what of a line nobody has picked; a line that this amendment adds is not added.
    RemoveLine {
        /// The line.
        line_no: i32,
    },
    /// Have so many pieces of a line and no more, those that have left among them. More pieces are a line of their own, at the price of this
    /// moment; the others keep theirs. Said again of the same line, only the last counts.
    SetQuantity {
        /// The line.
        line_no: i32,
        /// How many.
        quantity: Quantity,
    },
    /// Another article in the place of what of a line nobody has picked.
    SwapLine {
        /// The line.
        line_no: i32,
        /// The SKU of the other article.
        #[schema(value_type = String)]
        sku: Text<100>,
        /// How many of it; as many as are taken off when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quantity: Option<Quantity>,
        /// Another price than the list's. Needs the scope `prices:override` and a `reason`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit_price: Option<UnitPrice>,
        /// Why that price.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        reason: Option<Note<500>>,
    },
    /// Another price for a line of which nothing has moved and nothing is invoiced. Needs the scope `prices:override`.
    SetPrice {
        /// The line.
        line_no: i32,
        /// The price of one unit, or of as many as the line's `per` says.
        unit_price: UnitPrice,
        /// Why.
        #[schema(value_type = String)]
        reason: Note<500>,
    },
    /// Another address for a delivery of which nothing is picked, in the same country.
    SetAddress {
        /// The key of the delivery; the first when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        delivery: Option<Text<50>>,
        /// Where to.
        address: Address,
    },
    /// Another shipping method for a delivery of which nothing is picked. What it costs is charged, unless shipping is invoiced already, the
    /// order has several deliveries, or `keep_price` says so.
    SetShippingMethod {
        /// The key of the delivery; the first when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        delivery: Option<Text<50>>,
        /// The code of a shipping method of the order's channel.
        #[schema(value_type = String)]
        method: Text<50>,
        /// Whether the customer pays what they have paid.
        #[serde(default)]
        keep_price: bool,
    },
    /// A coupon that the customer had forgotten. It is judged as on a cart, on what has neither moved nor is invoiced, at this moment; where it
    /// does not apply the preview says why.
    ApplyCoupon {
        /// The code: case, dashes and blanks do not matter.
        #[schema(value_type = String)]
        code: Text<60>,
    },
    /// Without a promotion that has reduced the order: what it took off is owed again, all of it. A coupon of this amendment is not put on.
    RemovePromotion {
        /// The id or the code of the promotion, or the code of its coupon.
        #[schema(value_type = String)]
        promotion: Text<100>,
    },
    /// What whoever looks at the change later should know.
    Note {
        /// The text.
        #[schema(value_type = String)]
        text: Note<1000>,
    },
}

impl Edit {
    /// Takes out why somebody has agreed on a price: it may name anybody.
    pub(super) fn forget_words(&mut self) {
        match self {
            Self::AddLine { reason, .. } | Self::SwapLine { reason, .. } => *reason = None,
            Self::SetPrice { reason, .. } => {
                if let Ok(neutral) = Note::new("erased") {
                    *reason = neutral;
                }
            }
            _ => {}
        }
    }

    /// That it says how many where something is added, and no price below nothing.
    ///
    /// # Errors
    /// `quantity_invalid`, `invalid_value`; each with the pointer in the edit.
    pub(super) fn check(&self) -> Result<()> {
        let (quantity, price) = match self {
            Self::AddLine { quantity, unit_price, .. } => (Some(*quantity), *unit_price),
            Self::SwapLine { quantity, unit_price, .. } => (*quantity, *unit_price),
            Self::SetPrice { unit_price, .. } => (None, Some(*unit_price)),
            _ => (None, None),
        };
        if quantity.is_some_and(Quantity::is_zero) {
            return Err(Error::problem(Code::QuantityInvalid, "expected at least one piece").at("/quantity"));
        }
        match price.is_some_and(|price| price.scaled() < 0) {
            true => Err(Error::invalid("/unit_price/amount", "expected a price of at least zero")),
            false => Ok(()),
        }
    }
}

/// A line that is added, as it was priced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PricedLine {
    pub line_no: i32,
    pub variant_id: VariantId,
    pub sku: String,
    pub name: String,
    pub unit_code: String,
    /// Whether it is shipped, or counted: then it leaves through a fulfilment order.
    pub leaves: bool,
    pub tracked: bool,
    pub backorder: bool,
    /// What a place has to be able to do that ships it.
    #[serde(default)]
    pub requires: Capabilities,
    pub weight_grams: i64,
    pub tax_class: String,
    pub delivery: usize,
    pub totals: LineTotals,
    /// What it costs less than by the price list, with tax, in minor units: so much is given away.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub given: i64,
}

const fn is_nothing(minor: &i64) -> bool {
    *minor == 0
}

/// What an edit does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Op {
    Cancel {
        line_no: i32,
        quantity: i64,
    },
    Add {
        line: Box<PricedLine>,
    },
    Drop {
        line_no: i32,
    },
    Reprice {
        totals: Box<LineTotals>,
    },
    Way {
        delivery: usize,
        method: Option<String>,
        address: Option<Box<Address>>,
    },
    Shipping {
        totals: Box<ShippingTotals>,
    },
    /// Another method is taken for the old price: so much more it would have cost, with tax, in minor units.
    Kept {
        delivery: usize,
        method: String,
        given: i64,
    },
    Promote {
        promoted: Box<Promoted>,
    },
}

/// What a coupon that is put on takes off, or what is owed again without a promotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Promoted {
    /// The code of the coupon that is put on, as it is stored; `None` where a promotion is taken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<String>,
    /// What costs something else by it; `None` where it does not apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repriced: Option<Repriced>,
    /// Why it does not apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Step>,
    /// The lines that were left out, since their prices stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<i32>,
}

impl Promoted {
    /// The promotion that is put on.
    pub fn granted(&self) -> Option<&AppliedPromotion> {
        self.repriced.as_ref().filter(|_| self.coupon.is_some()).map(|one| &one.applied)
    }

    /// The promotion that is taken off.
    pub fn revoked(&self) -> Option<&AppliedPromotion> {
        self.repriced.as_ref().filter(|_| self.coupon.is_none()).map(|one| &one.applied)
    }
}

/// An edit as it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct MadeEdit {
    pub edit: Edit,
    pub ops: Vec<Op>,
    pub by: String,
    pub at: Instant,
}

/// What is kept of an amendment beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default)]
    pub edits: Vec<MadeEdit>,
    /// What it has given away, in minor units, once it was confirmed.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub given: i64,
    /// Who has approved it, where a second person had to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// What it came to, once it was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Preview>,
}

/// An amendment.
#[derive(Debug, Clone)]
pub(super) struct Amendment {
    pub id: AmendmentId,
    pub order_id: OrderId,
    pub state: AmendmentState,
    pub order_version: i64,
    pub version: i64,
    pub opened_by: String,
    pub created_at: Instant,
    pub expires_at: Instant,
    pub ended_at: Option<Instant>,
    pub kept: Kept,
}

impl Amendment {
    /// Where it stands at a time, whether or not anybody has written down that its own is over.
    pub fn state_at(&self, now: Instant) -> AmendmentState {
        match self.state {
            AmendmentState::Open if self.expires_at <= now => AmendmentState::Expired,
            state => state,
        }
    }

    /// Why, as it is told outside of the amendment: what customers have written stays in there, where it is erased with them.
    pub fn told_reason(&self) -> Option<String> {
        match self.opened_by == CUSTOMER.label() {
            true => Some(BY_CUSTOMER.to_owned()),
            false => self.kept.reason.clone(),
        }
    }
}

/// An amount before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AmendmentAmount)]
pub struct Change {
    /// As it is.
    pub old: Money,
    /// As it would be.
    pub new: Money,
    /// What is added to it, or taken off.
    pub difference: Money,
}

impl Change {
    pub(super) const fn of(old: Money, new: i64) -> Self {
        let currency = old.currency();
        let difference = Money::from_minor(new - old.minor(), currency);
        Self { old, new: Money::from_minor(new, currency), difference }
    }
}

/// What a line would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AmendmentLine)]
pub struct LineChange {
    /// The line; one that is added has the number that it will have.
    pub line_no: i32,
    /// What.
    pub sku: String,
    /// How many there are that are not cancelled.
    pub old_quantity: i64,
    /// How many there would be.
    pub new_quantity: i64,
    /// What they cost, with tax.
    pub amount: Change,
}

/// The tax at a rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AmendmentTax)]
pub struct TaxChange {
    /// The rate as a fraction.
    #[schema(value_type = String, example = "0.19")]
    pub rate: Decimal,
    /// What is added to the sum without tax, or taken off.
    pub net: Money,
    /// What is added to the tax, or taken off.
    pub tax: Money,
}

/// What is done with the difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AmendmentMoney)]
pub struct MoneyChange {
    /// What is due for all that is not cancelled or taken back.
    pub due: Change,
    /// Shipping, with tax.
    pub shipping: Change,
    /// By rate of tax, what differs.
    pub taxes: Vec<TaxChange>,
    /// What is promised or paid already and not given back.
    pub covered: Money,
    /// What the customer has to be asked for beside that. Until it is paid the order is held for `payment`.
    pub to_pay: Money,
    /// What its company owes on account beside that, within what it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_account: Option<Money>,
    /// What was captured and goes back.
    pub to_refund: Money,
}

/// Pieces at a location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AmendmentStock)]
pub struct StockChange {
    /// The line.
    pub line_no: i32,
    /// What.
    pub sku: String,
    /// How many.
    pub quantity: i64,
    /// The code of the location; absent where that is decided when it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// A coupon that is put on, or a promotion that is taken off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AmendmentPromotion)]
pub struct PromotionChange {
    /// The code of the coupon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<String>,
    /// The code of the promotion; absent where a coupon does not apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<String>,
    /// Whether it is taken off: then the amounts are owed again.
    pub removed: bool,
    /// What it takes off, or took off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The same by line; of shipping there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<LineShare>,
    /// Why it does not apply: the amendment can not be confirmed with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Step>,
    /// The lines that were left out: something of them has moved or is invoiced, they are parts of bundles, or pieces of them are taken off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<i32>,
}

/// What an amendment would do to an order as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AmendmentPreview)]
pub struct Preview {
    /// The lines that differ.
    pub lines: Vec<LineChange>,
    /// The money.
    pub money: MoneyChange,
    /// What would be allocated, and where.
    pub reserved: Vec<StockChange>,
    /// What would come free.
    pub freed: Vec<StockChange>,
    /// What coupons that are put on take off, or why they do not; and what is owed again without promotions that are taken off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promotions: Vec<PromotionChange>,
    /// What is given away, with tax: by agreed prices, and by a dearer method for the old price. Ceilings count it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_away: Option<Money>,
    /// Whether the order goes another way: its promise is looked at again then.
    pub redirected: bool,
    /// Whether some of what would be allocated is still to come.
    pub waits: bool,
    /// By when what is added would arrive; absent where nothing is added, or nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<Promise>,
    /// Why it can not be confirmed as it is; absent where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;

//! What a gift card or a store credit is, and how several of them pay a cart. Pure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    error::{Error, Result},
    kernel::{
        Currency, Instant, Money,
        ids::{CustomerId, PaymentId, StoredValueEntryId, StoredValueId},
        text::{Note, Text},
    },
};

crate::words! {
    /// A kind of stored value.
    pub enum ValueKind {
        /// Whoever has its code can pay with it.
        GiftCard = "gift_card",
        /// A customer's: they can pay with it when they are signed in.
        StoreCredit = "store_credit",
    }
}

crate::words! {
    /// Whether a stored value can be paid with.
    pub enum ValueState {
        /// It can, while it has not expired.
        Active = "active",
        /// Staff have blocked it: nothing new is paid with it. What orders have set aside stays theirs, and money can come back onto it.
        Blocked = "blocked",
    }
}

crate::words! {
    /// What can happen to the state of a stored value.
    pub enum ValueCommand {
        /// Nothing new is paid with it.
        Block = "block",
        /// It can be paid with again.
        Unblock = "unblock",
    }
}

impl ValueState {
    /// The transition table.
    ///
    /// | | block | unblock |
    /// |---|---|---|
    /// | active | blocked | active |
    /// | blocked | blocked | active |
    #[must_use]
    pub const fn apply(self, command: ValueCommand) -> Self {
        match (self, command) {
            (_, ValueCommand::Block) => Self::Blocked,
            (_, ValueCommand::Unblock) => Self::Active,
        }
    }
}

/// The transition table as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> active\n");
    for from in ValueState::ALL {
        for command in ValueCommand::ALL {
            let to = from.apply(*command);
            if to != *from {
                text.push_str(&format!("    {from} --> {to}: {command}\n"));
            }
        }
    }
    text
}

crate::words! {
    /// Why a stored value changed.
    pub enum EntryKind {
        /// It was issued, or a credit was given.
        Issue = "issue",
        /// Staff have corrected it.
        Adjust = "adjust",
        /// A cart that is being paid has set some of it aside.
        Hold = "hold",
        /// What was set aside is free again.
        Release = "release",
        /// What was set aside has been taken: an order was paid with it.
        Redeem = "redeem",
        /// Money of an order came back onto it.
        Refund = "refund",
    }
}

/// The most gift cards that a cart takes.
pub const MOST_CARDS: usize = 5;

/// A gift card, or a customer's store credit in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StoredValue {
    /// Its id.
    pub id: StoredValueId,
    /// What it is.
    pub kind: ValueKind,
    /// Whether it can be paid with.
    pub state: ValueState,
    /// What it is worth.
    pub balance: Money,
    /// What of that carts that are being paid and orders that are not captured yet have set aside.
    pub held: Money,
    /// What can be paid with it now, by its balance alone.
    pub available: Money,
    /// The last four characters of its code. The code itself is told once and not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "K7QX")]
    pub code_end: Option<String>,
    /// Whose it is; a gift card need not be anybody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// Until when it can be paid with, exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
    /// What staff have noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// What somebody can pay with of one kind in a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StoredValueSum)]
pub struct ValueSum {
    /// Store credit, or gift cards.
    pub kind: ValueKind,
    /// How many there are: those that are blocked or have expired are not counted.
    pub count: i64,
    /// What they are worth together.
    pub balance: Money,
    /// What can be paid with them now: without what carts and orders have set aside.
    pub available: Money,
}

impl StoredValue {
    /// What it can pay of a cart in a currency, by its balance without what others have set aside.
    ///
    /// # Errors
    /// Why nothing.
    pub fn payable(&self, now: Instant, currency: Currency) -> std::result::Result<i64, Refusal> {
        match self.available.minor() {
            _ if self.state == ValueState::Blocked => Err(Refusal::Blocked),
            _ if self.expires_at.is_some_and(|until| until <= now) => Err(Refusal::Expired),
            _ if self.balance.currency() != currency => Err(Refusal::Currency),
            left @ 1.. => Ok(left),
            _ => Err(Refusal::Empty),
        }
    }

    /// What can be paid with it in its own currency; nothing where it is blocked or has expired.
    #[must_use]
    pub fn can_pay(&self, now: Instant) -> Money {
        let currency = self.balance.currency();
        Money::from_minor(self.payable(now, currency).unwrap_or_default(), currency)
    }
}

crate::words! {
    /// Why nothing can be paid with a stored value.
    pub enum Refusal {
        /// Staff have blocked it.
        Blocked = "blocked",
        /// It has expired.
        Expired = "expired",
        /// It is in another currency than the cart.
        Currency = "currency",
        /// Nothing is left on it, or all of it is set aside.
        Empty = "empty",
    }
}

impl Refusal {
    /// The same for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Blocked => "it is blocked",
            Self::Expired => "it has expired",
            Self::Currency => "it is in another currency",
            Self::Empty => "nothing is left on it",
        }
    }
}

/// What a stored value pays of a cart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ValueUse {
    /// The gift card or store credit.
    pub id: StoredValueId,
    /// What it is.
    pub kind: ValueKind,
    /// The last four characters of a gift card's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "K7QX")]
    pub code_end: Option<String>,
    /// What can be paid with it.
    pub available: Money,
    /// What it pays of this cart.
    pub amount: Money,
    /// Why it pays nothing, when it can not: `blocked`, `expired`, `currency`, `empty`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
}

/// What stored values pay of a total in minor units, one after the other as far as they reach: gift cards in the order in which they
/// were put on the cart, then store credit. What is left is to be paid otherwise.
#[must_use]
pub fn split(total: i64, currency: Currency, values: &[StoredValue], now: Instant) -> Vec<ValueUse> {
    let mut due = total.max(0);
    let pays = |value: &StoredValue| {
        let payable = value.payable(now, currency);
        let amount = payable.unwrap_or_default().min(due);
        due -= amount;
        ValueUse {
            id: value.id,
            kind: value.kind,
            code_end: value.code_end.clone(),
            available: Money::from_minor(payable.unwrap_or_default(), value.balance.currency()),
            amount: Money::from_minor(amount, currency),
            refused: payable.err(),
        }
    };
    values.iter().map(pays).collect()
}

/// A part of a cart's total that a stored value pays: it becomes the payment of this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The payment that it becomes.
    pub payment: PaymentId,
    /// What pays.
    pub value: StoredValueId,
    /// What that is.
    pub kind: ValueKind,
    /// How much, in minor units of the cart's currency; more than nothing.
    pub amount: i64,
}

/// A change of a stored value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StoredValueEntry)]
pub struct Entry {
    /// Its id.
    pub id: StoredValueEntryId,
    /// What changed.
    pub stored_value_id: StoredValueId,
    /// Why.
    pub kind: EntryKind,
    /// By how much the balance changed.
    pub amount: Money,
    /// By how much changed what is set aside.
    pub held: Money,
    /// What it was worth afterwards.
    pub balance_after: Money,
    /// Which version of the stored value it made.
    pub version: i64,
    /// The payment it was for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// Who did it.
    pub actor: String,
    /// What was said about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub created_at: Instant,
}

/// A gift card about to be issued.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"amount": {"amount": "50.00", "currency": "EUR"}, "note": "lottery"}))]
pub struct NewGiftCard {
    /// What it is worth.
    pub amount: Money,
    /// Its code where it has one already, as cards of another system have: 16 to 40 ASCII letters and digits; case, dashes and blanks do not
    /// matter. Else one is made.
    #[schema(value_type = Option<String>, min_length = 16, max_length = 60)]
    pub code: Option<Text<60>>,
    /// Whose it is, where that is known. Others who have the code can pay with it as well.
    pub customer_id: Option<CustomerId>,
    /// Until when it can be paid with, exclusive; left out, it has no end.
    pub expires_at: Option<Instant>,
    /// Why it was issued.
    #[schema(value_type = Option<String>)]
    pub note: Option<Note<500>>,
}

/// What can be changed about a stored value. What is absent stays, `null` clears.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StoredValueChange, example = json!({"blocked": true}))]
pub struct ValueChange {
    /// Whether it can not be paid with.
    pub blocked: Option<bool>,
    /// Until when it can be paid with, exclusive.
    #[serde(default, deserialize_with = "crate::kernel::patch::present")]
    #[schema(value_type = Option<Instant>)]
    pub expires_at: Option<Option<Instant>>,
    /// What staff note.
    #[serde(default, deserialize_with = "crate::kernel::patch::present")]
    #[schema(value_type = Option<String>)]
    pub note: Option<Option<Note<500>>>,
}

impl ValueChange {
    /// The value after the change.
    #[must_use]
    pub fn on(&self, value: &StoredValue) -> StoredValue {
        let command = |blocked| if blocked { ValueCommand::Block } else { ValueCommand::Unblock };
        let note = || self.note.clone().map(|note| note.map(Text::into_string));
        StoredValue {
            state: self.blocked.map_or(value.state, |blocked| value.state.apply(command(blocked))),
            expires_at: self.expires_at.unwrap_or(value.expires_at),
            note: note().unwrap_or_else(|| value.note.clone()),
            ..value.clone()
        }
    }
}

/// An amount that staff put on a stored value or take off it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StoredValueAdjustment, example = json!({"amount": {"amount": "-5.00", "currency": "EUR"}, "reason": "issued twice"}))]
pub struct Adjustment {
    /// How much; below zero it is taken off.
    pub amount: Money,
    /// Why; it is kept in the ledger.
    #[schema(value_type = String)]
    pub reason: Note<500>,
}

/// A credit for a customer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GivenCredit, example = json!({"amount": {"amount": "10.00", "currency": "EUR"}, "reason": "for the delay"}))]
pub struct Credit {
    /// How much.
    pub amount: Money,
    /// Why; it is kept in the ledger.
    #[schema(value_type = String)]
    pub reason: Note<500>,
}

/// That an amount is more than nothing.
///
/// # Errors
/// `invalid_value`.
pub fn above_zero(amount: Money) -> Result<i64> {
    match amount.minor() {
        minor @ 1.. => Ok(minor),
        _ => Err(Error::invalid("/amount/amount", "expected an amount above zero")),
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;

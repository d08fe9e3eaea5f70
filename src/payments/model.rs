//! What a payment is, which states it goes through, and what can still be done with its money. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kernel::{
    Instant, Money,
    ids::{CartId, IdempotencyKeyId, OrderId, PaymentId, PaymentOperationId, StoredValueId},
};

crate::words! {
    /// Where a payment stands.
    pub enum PaymentState {
        /// The provider has been, or is about to be, asked; its answer is not known yet.
        Pending = "pending",
        /// The customer has to do something first, such as confirm at their bank.
        ActionRequired = "action_required",
        /// The money is promised, and some of it is neither captured nor given up.
        Authorised = "authorised",
        /// What was promised has been taken, but for what was given up.
        Captured = "captured",
        /// The provider said no.
        Declined = "declined",
        /// The promise was given up, all of it.
        Voided = "voided",
        /// It came to nothing for another reason; a person may have to look.
        Failed = "failed",
    }
}

crate::words! {
    /// What can happen to a payment.
    pub enum Command {
        /// The provider promises the money.
        Authorise = "authorise",
        /// The provider wants the customer to act.
        RequireAction = "require_action",
        /// The provider says no.
        Decline = "decline",
        /// It is given up without an answer.
        Fail = "fail",
        /// A part of the promised money is taken.
        CapturePart = "capture_part",
        /// The last of the promised money is taken.
        CaptureRest = "capture_rest",
        /// A part of the promised money is given up.
        VoidPart = "void_part",
        /// The last of the promised money is given up, after some was taken.
        VoidRest = "void_rest",
        /// All of the promised money is given up.
        VoidAll = "void_all",
        /// Money that was taken is given back.
        Refund = "refund",
        /// A part of it goes over to an order that is split off.
        Share = "share",
        /// The last of the promised money does.
        ShareRest = "share_rest",
        /// Somebody has found out what became of it.
        Resolve = "resolve",
    }
}

use Command as C;
use PaymentState as S;

/// Every transition there is: from, command, to. What is not here is refused.
pub const TRANSITIONS: &[(PaymentState, Command, PaymentState)] = &[
    (S::Pending, C::Authorise, S::Authorised),
    (S::Pending, C::RequireAction, S::ActionRequired),
    (S::Pending, C::Decline, S::Declined),
    (S::Pending, C::Fail, S::Failed),
    (S::Pending, C::VoidAll, S::Voided),
    (S::ActionRequired, C::Authorise, S::Authorised),
    (S::ActionRequired, C::RequireAction, S::ActionRequired),
    (S::ActionRequired, C::Decline, S::Declined),
    (S::ActionRequired, C::Fail, S::Failed),
    (S::ActionRequired, C::VoidAll, S::Voided),
    // A promise that comes after the end has no order: it is given up.
    (S::Declined, C::Authorise, S::Authorised),
    (S::Failed, C::Authorise, S::Authorised),
    // The provider has heard at last that it is over.
    (S::Failed, C::Decline, S::Declined),
    (S::Failed, C::Resolve, S::Failed),
    (S::Authorised, C::CapturePart, S::Authorised),
    (S::Authorised, C::CaptureRest, S::Captured),
    (S::Authorised, C::VoidPart, S::Authorised),
    (S::Authorised, C::VoidRest, S::Captured),
    (S::Authorised, C::VoidAll, S::Voided),
    (S::Authorised, C::Refund, S::Authorised),
    (S::Authorised, C::Share, S::Authorised),
    (S::Authorised, C::ShareRest, S::Captured),
    (S::Captured, C::Refund, S::Captured),
    (S::Captured, C::Share, S::Captured),
];

/// A command that the state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payment that is {state} takes no {command}")]
pub struct Conflict {
    /// The state.
    pub state: PaymentState,
    /// The command.
    pub command: Command,
}

impl PaymentState {
    /// The state after a command.
    ///
    /// # Errors
    /// When the state does not allow it.
    pub fn apply(self, command: Command) -> Result<Self, Conflict> {
        let found = TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        found.map(|(_, _, to)| *to).ok_or(Conflict { state: self, command })
    }

    /// Whether the provider's answer is still to come.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::ActionRequired)
    }
}

/// The transition table as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> pending\n    [*] --> authorised: immediate\n");
    for (from, command, to) in TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// What the customer has to do before the money is promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
// Names of schemas are one space for all slices.
#[schema(as = PaymentAction)]
pub struct Action {
    /// The kind: `redirect` sends the customer to `url`. More kinds may come.
    #[schema(example = "redirect")]
    pub r#type: String,
    /// Where to go.
    pub url: String,
    /// What the provider's script in the storefront needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

/// Why the provider said no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decline {
    /// The reason as a stable word, such as `insufficient_funds`. More words may come.
    #[schema(example = "insufficient_funds")]
    pub code: String,
    /// Whether another try, perhaps with another instrument, makes sense.
    pub retryable: bool,
}

/// What a provider answered when it was asked for money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", content = "detail", rename_all = "snake_case")]
pub enum Outcome {
    /// The money is promised.
    Authorised {
        /// What the provider calls the payment.
        provider_ref: Option<String>,
        /// Until when it holds, where the provider says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Instant>,
    },
    /// The customer has to act; the provider calls the payment by the text.
    ActionRequired(Action, Option<String>),
    /// No.
    Declined(Decline),
    /// It is not known: look it up later.
    Unknown,
}

/// Why it is not known yet, or can not be written, what became of an attempt to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Since when.
    pub since: Instant,
    /// How often it was tried to find out.
    pub tries: i64,
    /// What went wrong the last time.
    pub error: String,
    /// When it is tried again; whoever asks for it may try before.
    pub retry_at: Instant,
}

impl Trouble {
    /// After so many tries somebody has to look.
    pub const SHOWN: i64 = 3;
    /// Never longer than so many seconds between two tries.
    const LONGEST: i64 = 3600;

    /// The trouble after one more try in vain: the pause doubles each time, from so many seconds on.
    #[must_use]
    pub fn again(before: Option<&Self>, now: Instant, error: String, seconds: i64) -> Self {
        let tries = before.map_or(0, |trouble| trouble.tries).saturating_add(1);
        let doubled = seconds.max(1).saturating_mul(1 << (tries - 1).clamp(0, 16));
        let since = before.map_or(now, |trouble| trouble.since);
        Self { since, tries, error, retry_at: now.plus_seconds(doubled.min(Self::LONGEST)) }
    }
}

/// What somebody has found out about a payment that failed: nobody has to look at it any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
// Names of schemas are one space for all slices.
#[schema(as = PaymentResolution)]
pub struct Resolution {
    /// What became of it, and what was done about it; gone after an erasure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who says so.
    pub by: String,
    /// Since when.
    pub at: Instant,
}

/// What is kept with a payment as one document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PaymentDetails {
    /// What is paid with: the provider's word for a card, an account, a sandbox script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instrument: Option<String>,
    /// Where the customer comes back to after an action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    /// What the customer has to do, when the provider asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Why the provider said no, when it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decline: Option<Decline>,
    /// When the provider is asked the next time whether the customer has acted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask_at: Option<Instant>,
    /// Why it is open still, when that is not as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// When it happened, where that was before it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Instant>,
    /// What somebody has found out about it after it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Resolution>,
    /// What of a payment by hand is not asked for any more, in minor units: it was so little.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written_off: Option<i64>,
    /// Of how many steps it was told that the money of a payment by hand has not come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminded: Option<i64>,
    /// What the checkout needs to go on after an answer that came late.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub checkout: Value,
}

/// One attempt to pay.
#[derive(Debug, Clone, PartialEq)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// The cart it is for.
    pub cart_id: CartId,
    /// The order that came of it.
    pub order_id: Option<OrderId>,
    /// The provider's code.
    pub provider: String,
    /// What the provider knows it by; asking twice with it is asking once.
    pub our_key: String,
    /// What the provider calls it.
    pub provider_ref: Option<String>,
    /// Where it stands.
    pub state: PaymentState,
    /// How much was asked for.
    pub amount: Money,
    /// How much was taken.
    pub captured: Money,
    /// How much of that was given back.
    pub refunded: Money,
    /// How much of the promise was given up.
    pub voided: Money,
    /// How much the provider is being asked to take.
    pub capture_pending: Money,
    /// How much the provider is being asked to give back.
    pub refund_pending: Money,
    /// How much the provider is being asked to give up.
    pub void_pending: Money,
    /// Who works on it: rises with every claim, and only the latest may write the result.
    pub attempt: i64,
    /// Until when nobody else may take it up; `None` when there is nothing left to find out.
    pub lease_until: Option<Instant>,
    /// The key under which the customer's request waits for its answer.
    pub idempotency_id: Option<IdempotencyKeyId>,
    /// The rest.
    pub details: PaymentDetails,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// Why it is being ended, while it is open still: its provider is told to give it up, and nothing else may come of it.
    pub ending: Option<String>,
    /// How much of what was taken banks and providers have taken back, or are about to.
    pub disputed: Money,
    /// Until when the promise holds; open where the provider has not said.
    pub expires_at: Option<Instant>,
    /// When somebody has to look at it next: before its promise ends, or because its money should have come.
    pub due_at: Option<Instant>,
    /// The payment that it is a share of, since its order was split off.
    pub parent: Option<PaymentId>,
    /// The payment that its provider knows, where that is not this one.
    pub root: Option<PaymentId>,
}

impl Payment {
    /// Whether its promise does not hold any more at an instant: nothing can be captured of it then.
    #[must_use]
    pub fn has_expired(&self, now: Instant) -> bool {
        self.expires_at.is_some_and(|until| until <= now)
    }

    /// Whether somebody is finding out what became of it, under a lease.
    #[must_use]
    pub fn is_in_hand(&self, now: Instant) -> bool {
        let put_off = self.details.trouble.as_ref().map(|trouble| trouble.retry_at);
        let waits = |until| [self.details.ask_at, put_off].contains(&Some(until));
        self.lease_until.is_some_and(|until| until > now && !waits(until))
    }

    /// Whether money of it is under way, or may be soon.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        let mut pending = [self.capture_pending, self.refund_pending, self.void_pending].into_iter();
        self.state.is_open() || pending.any(|amount| amount.minor() != 0)
    }

    /// Whether somebody can say what became of it.
    ///
    /// # Errors
    /// Why not.
    pub fn resolvable(&self) -> Result<(), String> {
        self.state.apply(C::Resolve).map_err(|conflict| conflict.to_string())?;
        match &self.details.resolved {
            None => Ok(()),
            Some(resolved) => Err(format!("the payment was resolved by {}", resolved.by)),
        }
    }

    /// How much can still be captured or voided: promised, and not spoken for.
    #[must_use]
    pub fn capturable(&self) -> Money {
        let gone = [self.captured, self.capture_pending, self.voided, self.void_pending];
        let gone = gone.iter().fold(0i64, |sum, part| sum.saturating_add(part.minor()));
        let left = if self.state == S::Authorised { self.amount.minor().saturating_sub(gone) } else { 0 };
        Money::from_minor(left.max(0), self.amount.currency())
    }

    /// How much can still be given back.
    #[must_use]
    pub fn refundable(&self) -> Money {
        let gone = [self.refunded, self.refund_pending, self.disputed];
        let gone = gone.iter().fold(0i64, |sum, part| sum.saturating_add(part.minor()));
        Money::from_minor(self.captured.minor().saturating_sub(gone).max(0), self.amount.currency())
    }
}

/// A payment about to be written.
#[derive(Debug, Clone)]
pub struct NewPayment {
    /// Its id; made outside the transaction.
    pub id: PaymentId,
    /// The cart it is for.
    pub cart: CartId,
    /// The order, where the payment needs no answer from outside.
    pub order: Option<OrderId>,
    /// The provider's code.
    pub provider: String,
    /// What the provider will know it by.
    pub our_key: String,
    /// How much.
    pub amount: Money,
    /// `Pending`, or `Authorised` where the provider is immediate.
    pub state: PaymentState,
    /// What the provider calls it, when that is known already.
    pub provider_ref: Option<String>,
    /// Until when the caller alone asks the provider.
    pub lease_until: Option<Instant>,
    /// The key under which the customer's request waits.
    pub idempotency_id: Option<IdempotencyKeyId>,
    /// The rest.
    pub details: PaymentDetails,
    /// Until when the promise holds, where the provider has said.
    pub expires_at: Option<Instant>,
    /// When somebody has to look at it next.
    pub due_at: Option<Instant>,
}

crate::words! {
    /// What is done with the money of a payment.
    pub enum OperationKind {
        /// Take what was promised.
        Capture = "capture",
        /// Give up what was promised.
        Void = "void",
        /// Give back what was taken.
        Refund = "refund",
    }
}

crate::words! {
    /// Where an operation stands.
    pub enum OperationState {
        /// The provider is to be asked, or being asked.
        Pending = "pending",
        /// It is done.
        Done = "done",
        /// The provider refused for good.
        Failed = "failed",
    }
}

crate::words! {
    /// What can happen to an operation.
    pub enum OperationCommand {
        /// The provider has done it.
        Finish = "finish",
        /// The provider refuses for good, or nobody asks it any more.
        Fail = "fail",
        /// Somebody has done it by hand.
        Confirm = "confirm",
        /// The provider tells that a refund which was done has come to nothing.
        Undo = "undo",
    }
}

/// Every transition of operations there is: from, command, to. What is not here is refused.
pub const OPERATION_TRANSITIONS: &[(OperationState, OperationCommand, OperationState)] = &[
    (OperationState::Pending, OperationCommand::Finish, OperationState::Done),
    (OperationState::Pending, OperationCommand::Fail, OperationState::Failed),
    (OperationState::Pending, OperationCommand::Confirm, OperationState::Done),
    (OperationState::Failed, OperationCommand::Confirm, OperationState::Done),
    (OperationState::Done, OperationCommand::Undo, OperationState::Failed),
];

impl OperationState {
    /// The state after a command; `None` when the state does not take it.
    #[must_use]
    pub fn apply(self, command: OperationCommand) -> Option<Self> {
        let found = OPERATION_TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        found.map(|(_, _, to)| *to)
    }
}

/// The transition table of operations as a Mermaid diagram.
#[must_use]
pub fn operations_mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> pending\n    [*] --> done: recorded\n");
    for (from, command, to) in OPERATION_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

crate::words! {
    /// Where money goes that is given back.
    pub enum Target {
        /// The way it came.
        Source = "source",
        /// Onto a gift card.
        GiftCard = "gift_card",
        /// Onto the customer's store credit.
        StoreCredit = "store_credit",
    }
}

/// A capture, void or refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its id.
    pub id: PaymentOperationId,
    /// The payment.
    pub payment: PaymentId,
    /// What is done.
    pub kind: OperationKind,
    /// What the provider knows it by; asking twice with it is asking once.
    pub our_key: String,
    /// Where it stands.
    pub state: OperationState,
    /// How much, in minor units of the payment's currency.
    pub amount: i64,
    /// Why it is done.
    pub reason: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// The key under which a request waits for its answer.
    pub idempotency_id: Option<IdempotencyKeyId>,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// Where money goes that is given back otherwise than it came; absent: the way it came.
    pub target: Option<Target>,
    /// The gift card or store credit that it went onto then.
    pub stored_value: Option<StoredValueId>,
}

impl Operation {
    /// Whether somebody can say that it was done by hand, `others` being what else was done with its payment. What was
    /// tried again since is a part of that.
    ///
    /// # Errors
    /// Why not.
    pub fn confirmable(&self, payment: &Payment, others: &[Self]) -> Result<(), String> {
        self.state.apply(OperationCommand::Confirm).ok_or_else(|| format!("the {} is {}", self.kind, self.state))?;
        if super::stored::STORED.contains(&payment.provider.as_str()) {
            return Err(
                "nobody pays a gift card or store credit by hand: settle the order, and it is tried again".to_owned()
            );
        }
        if self.state == OperationState::Pending && !super::is_by_hand(&payment.provider) {
            return Err("the provider is being asked".to_owned());
        }
        let later = |other: &Self| (other.created_at, other.id) > (self.created_at, self.id);
        let same = |other: &Self| other.payment == self.payment && other.kind == self.kind;
        if self.state == OperationState::Failed && others.iter().any(|other| same(other) && later(other)) {
            return Err(format!("the {} was tried again since", self.kind));
        }
        Ok(())
    }

    /// The void of all of a payment, for one that never reached an order: it has no row, and its key is always the same.
    #[must_use]
    pub fn void_all(payment: &Payment) -> Self {
        Self {
            id: PaymentOperationId::from_bytes(*payment.id.bytes()),
            payment: payment.id,
            kind: OperationKind::Void,
            our_key: format!("{}:void", payment.our_key),
            state: OperationState::Pending,
            amount: payment.amount.minor(),
            reason: None,
            error: None,
            idempotency_id: None,
            created_at: payment.created_at,
            updated_at: payment.updated_at,
            target: None,
            stored_value: None,
        }
    }
}

/// An operation about to be begun.
#[derive(Debug, Clone)]
pub struct NewOperation {
    /// Its id; made outside the transaction.
    pub id: PaymentOperationId,
    /// The payment.
    pub payment: PaymentId,
    /// What to do.
    pub kind: OperationKind,
    /// What the provider will know it by.
    pub our_key: String,
    /// How much, in minor units of the payment's currency; more than nothing.
    pub amount: i64,
    /// Why.
    pub reason: Option<String>,
    /// The key under which a request waits.
    pub idempotency_id: Option<IdempotencyKeyId>,
}

/// A payment as the API and the events show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PaymentView {
    /// Its id.
    pub id: PaymentId,
    /// The payment of another order that it is a share of: this one was split off. What is given back goes where that one's money came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<PaymentId>,
    /// The provider's code.
    #[schema(example = "sandbox")]
    pub provider: String,
    /// What the provider calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_ref: Option<String>,
    /// Where it stands. More states may come.
    pub state: PaymentState,
    /// How much was asked for.
    pub amount: Money,
    /// How much was taken.
    pub captured: Money,
    /// How much of that was given back.
    pub refunded: Money,
    /// How much of the promise was given up.
    pub voided: Money,
    /// How much of what was taken a bank has taken back, or is about to: in disputes that are open, lost or accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disputed: Option<Money>,
    /// How much is not asked for any more, because it was so little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_off: Option<Money>,
    /// Until when the promise holds, where the provider has said and some of it is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
    /// How much can still be captured.
    pub capturable: Money,
    /// How much can still be refunded.
    pub refundable: Money,
    /// What the customer has to do, while they have to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Why the provider said no, when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline: Option<Decline>,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl PaymentView {
    /// How much of it a provider still promises at a time, in minor units. That somebody will pay by hand is no promise, nor is one that has
    /// ended.
    #[must_use]
    pub fn promised(&self, now: Instant) -> i64 {
        let ended = self.expires_at.is_some_and(|until| until <= now);
        if self.provider == super::MANUAL || ended { 0 } else { self.capturable.minor() }
    }
}

impl From<&Payment> for PaymentView {
    fn from(payment: &Payment) -> Self {
        let details = &payment.details;
        Self {
            id: payment.id,
            parent: payment.parent,
            provider: payment.provider.clone(),
            provider_ref: payment.provider_ref.clone(),
            state: payment.state,
            amount: payment.amount,
            captured: payment.captured,
            refunded: payment.refunded,
            voided: payment.voided,
            disputed: Some(payment.disputed).filter(|disputed| disputed.minor() > 0),
            written_off: details.written_off.map(|minor| Money::from_minor(minor, payment.amount.currency())),
            expires_at: payment.expires_at.filter(|_| payment.state == S::Authorised),
            capturable: payment.capturable(),
            refundable: payment.refundable(),
            action: details.action.clone().filter(|_| payment.state == S::ActionRequired),
            decline: details.decline.clone().filter(|_| payment.state == S::Declined),
            created_at: details.occurred_at.unwrap_or(payment.created_at),
            updated_at: payment.updated_at,
        }
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;

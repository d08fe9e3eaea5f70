//! Money that goes back otherwise than it came: onto a gift card, or as store credit. It is with us already, so it is done in the same
//! transaction; no provider is asked.

use serde::{Deserialize, Serialize};

use super::awaited;
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{
        ids::Draw,
        jobs, money,
        service::{announce, place},
    },
    kernel::{
        Actor, Instant, Money,
        ids::{PaymentOperationId, StoredValueId},
    },
    orders::{self, OrderDocument},
    payments::{
        self, Account, NewOperation, Operation, OperationKind, OperationState, Payment, PaymentView, Posting, Target,
        ledger,
    },
    stored_value::{self, Doing},
};

/// Where money goes that is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"to": "store_credit"}))]
pub struct RefundTo {
    /// `source`, the way it came; `gift_card`; or `store_credit` of the order's customer.
    pub to: Target,
    /// The gift card that it goes onto: the customer's, or nobody's. Left out, a new one is issued, and the answer tells its code, this
    /// once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gift_card_id: Option<StoredValueId>,
}

/// A gift card that was issued for money that went back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RefundCard {
    /// Its id.
    pub id: StoredValueId,
    /// The code: whoever has it can pay. It is told this once and not kept.
    #[schema(example = "7KQX-2MPR-94TW-HBNC-VY3F")]
    pub code: String,
}

/// The same with what a command needs from outside, so that a second run of it gives the same.
#[derive(Debug, Clone)]
pub struct GiveTo {
    /// Where it goes.
    pub to: Target,
    card: Option<StoredValueId>,
    fresh: StoredValueId,
    code: String,
    most: Option<i64>,
    nobodys: bool,
}

impl GiveTo {
    /// What a request asks for.
    ///
    /// # Errors
    /// `invalid_value` for a card where it does not go onto one; `pointer` is where that stands.
    pub fn of(wanted: Option<RefundTo>, pointer: &str) -> Result<Self> {
        let RefundTo { to, gift_card_id } = wanted.unwrap_or(RefundTo { to: Target::Source, gift_card_id: None });
        if gift_card_id.is_some() && to != Target::GiftCard {
            let detail = "a card is named only where the money goes onto it: `to` is `gift_card` then";
            return Err(Error::invalid(format!("{pointer}/gift_card_id"), detail));
        }
        let (fresh, code) = (StoredValueId::new(), stored_value::fresh_code());
        Ok(Self { to, card: gift_card_id, fresh, code, most: None, nobodys: false })
    }

    /// Onto the customer's store credit.
    #[must_use]
    pub fn store_credit() -> Self {
        let (fresh, code) = (StoredValueId::new(), stored_value::fresh_code());
        Self { to: Target::StoreCredit, card: None, fresh, code, most: None, nobodys: false }
    }

    /// Onto a new gift card instead: the customer's, or nobody's.
    #[must_use]
    pub fn onto_card(mut self, nobodys: bool) -> Self {
        (self.to, self.card, self.nobodys) = (Target::GiftCard, None, nobodys);
        self
    }

    /// The new gift card that it goes onto, where it does.
    #[must_use]
    pub fn new_card(&self) -> Option<StoredValueId> {
        (self.to == Target::GiftCard && self.card.is_none()).then_some(self.fresh)
    }

    /// The same for so much at most, in minor units: what is beyond that goes back the way it came.
    #[must_use]
    pub const fn up_to(mut self, most: i64) -> Self {
        self.most = Some(most);
        self
    }

    /// The same as it was asked for.
    #[must_use]
    pub(in crate::fulfilment) const fn wanted(&self) -> RefundTo {
        RefundTo { to: self.to, gift_card_id: self.card }
    }

    /// Whether it goes back otherwise than it came.
    #[must_use]
    pub fn is_otherwise(&self) -> bool {
        self.to != Target::Source
    }

    /// The gift card that was issued in this transaction, for the answer; `None` where none was.
    ///
    /// # Errors
    /// What the database says.
    pub fn issued_in(&self, tx: &mut Tx) -> Result<Option<RefundCard>> {
        let new = self.to == Target::GiftCard && self.card.is_none() && stored_value::is_there(tx, self.fresh)?;
        Ok(new.then(|| RefundCard { id: self.fresh, code: self.code.clone() }))
    }

    /// The gift card that was issued, for the answer; `None` where none was.
    #[must_use]
    pub fn issued(&self, given: Option<StoredValueId>) -> Option<RefundCard> {
        let new = self.to == Target::GiftCard && self.card.is_none() && given == Some(self.fresh);
        new.then(|| RefundCard { id: self.fresh, code: self.code.clone() })
    }
}

/// Finds, or makes, what the money goes onto.
fn value(tx: &mut Tx, now: Instant, order: &OrderDocument, to: &GiveTo) -> Result<StoredValueId> {
    let (currency, customer) = (order.currency, order.customer_id);
    match (to.to, to.card, customer) {
        (Target::Source, ..) => Err(Error::internal("money that goes back the way it came needs no stored value")),
        (Target::GiftCard, Some(card), _) => {
            stored_value::card_for(tx, now, card, (currency, customer)).map_err(|error| error.at("/gift_card_id"))?;
            Ok(card)
        }
        (Target::GiftCard, None, _) => {
            let owner = customer.filter(|_| !to.nobodys);
            stored_value::empty_card(tx, now, to.fresh, (currency, owner), &to.code)?;
            Ok(to.fresh)
        }
        (Target::StoreCredit, _, Some(customer)) => stored_value::credit_for(tx, now, to.fresh, (currency, customer)),
        (Target::StoreCredit, _, None) => {
            let detail = "nobody knows whose order it is: let it go onto a gift card, or back the way it came";
            Err(Error::invalid("/to", detail))
        }
    }
}

/// Gives parts of payments back onto a gift card or as store credit, and books and tells it. Call it behind the events of what it follows
/// from: the order, which is locked, is saved once more. Gives what they went onto; `None` where there are no parts.
///
/// # Errors
/// `refund_exceeded` where less was taken; `not_found`, `gift_card_refused`, `invalid_value` for where it is to go.
pub(in crate::fulfilment) fn give(
    tx: &mut Tx,
    (now, at): (Instant, Instant),
    actor: &Actor,
    order: &mut OrderDocument,
    draw: &mut Draw<'_>,
    (to, reason): (&GiveTo, &str),
    parts: &[(Payment, i64)],
) -> Result<Option<StoredValueId>> {
    if parts.is_empty() {
        return Ok(None);
    }
    let onto = value(tx, now, order, to)?;
    give_onto(tx, (now, at), actor, order, draw, (to.to, onto, reason), parts)?;
    Ok(Some(onto))
}

/// The same onto a stored value that is there.
///
/// # Errors
/// `refund_exceeded` where less was taken.
pub(super) fn give_onto(
    tx: &mut Tx,
    (now, at): (Instant, Instant),
    actor: &Actor,
    order: &mut OrderDocument,
    draw: &mut Draw<'_>,
    (target, onto, reason): (Target, StoredValueId, &str),
    parts: &[(Payment, i64)],
) -> Result<()> {
    let account = if target == Target::GiftCard { Account::GiftCard } else { Account::StoreCredit };
    let (mut postings, mut done) = (Vec::with_capacity(parts.len()), Vec::with_capacity(parts.len()));
    // Payments before values, each in the order of its key.
    let mut sorted: Vec<&(Payment, i64)> = parts.iter().collect();
    sorted.sort_by_key(|(payment, _)| payment.id);
    for (payment, amount) in sorted {
        let new = operation(draw.next(), payment, *amount, reason);
        payments::give_otherwise(tx, now, &new, (target, onto))?;
        postings.push(Posting {
            order: order.id,
            posting: format!("refund:{}", new.id),
            occurred_at: at,
            currency: order.currency,
            entries: vec![(Account::Receivable, *amount), (account, -*amount)],
        });
        done.push(ended(new, now, (target, onto)));
    }
    ledger::post(tx, now, postings)?;
    for operation in &done {
        let (payment, amount, our_key) = (operation.payment, operation.amount, operation.our_key.as_str());
        stored_value::put(tx, (now, actor), Doing { value: onto, payment, amount, our_key })?;
    }
    let known = payments::of_order(tx, order.id)?;
    order.payments = known.iter().map(PaymentView::from).collect();
    orders::save(tx, now, order, &[], place(done.len()))?;
    let mut happened = Vec::with_capacity(done.len());
    for operation in &done {
        let payment = known.iter().find(|payment| payment.id == operation.payment);
        let payment = payment.ok_or_else(|| Error::internal("a payment is gone that has just given money back"))?;
        happened.push(jobs::moved(order, payment, operation)?);
    }
    announce(tx, (now, at), actor, order, draw, happened)
}

fn operation(id: PaymentOperationId, payment: &Payment, amount: i64, reason: &str) -> NewOperation {
    NewOperation {
        id,
        payment: payment.id,
        kind: OperationKind::Refund,
        our_key: id.to_string(),
        amount,
        reason: Some(reason.to_owned()),
        idempotency_id: None,
    }
}

fn ended(new: NewOperation, now: Instant, (target, onto): (Target, StoredValueId)) -> Operation {
    let NewOperation { id, payment, kind, our_key, amount, reason, idempotency_id } = new;
    Operation {
        id,
        payment,
        kind,
        our_key,
        state: OperationState::Done,
        amount,
        reason,
        error: None,
        idempotency_id,
        created_at: now,
        updated_at: now,
        target: Some(target),
        stored_value: Some(onto),
    }
}

/// Gives back otherwise what was decided, in minor units, as far as it is owed to the customer of a locked order by its ledger and was
/// taken: after a cancellation or a return that has been booked. What is owed beside it, and what is being captured still, goes back the
/// way it came.
///
/// # Errors
/// As [`give`].
pub(in crate::fulfilment) fn give_owed(
    tx: &mut Tx,
    at: (Instant, Instant),
    actor: &Actor,
    order: &mut OrderDocument,
    draw: &mut Draw<'_>,
    (to, reason, most): (&GiveTo, &str, i64),
) -> Result<Option<StoredValueId>> {
    let known = payments::of_order(tx, order.id)?;
    let receivable = money::balance_of(tx, order.id, Account::Receivable)?;
    let pending: i64 =
        known.iter().map(|payment| payment.refund_pending.minor() - payment.capture_pending.minor()).sum();
    let most = most.min(to.most.unwrap_or(i64::MAX));
    let (parts, missing) = spread(&known, most.min(-(receivable + pending)));
    let given = give(tx, at, actor, order, draw, (to, reason), &parts)?;
    if missing == 0 || known.iter().all(|payment| payment.disputed.minor() == 0) {
        return Ok(given);
    }
    // What a bank has at the moment goes there too, should it come back.
    let onto = given.map_or_else(|| value(tx, at.0, order, to), Ok)?;
    awaited::note(tx, at.0, order, draw, (to.to, onto, missing), &known)?;
    Ok(Some(onto))
}

/// Which payment gives how much back, and how much none can give.
pub(super) fn spread(payments: &[Payment], amount: i64) -> (Vec<(Payment, i64)>, i64) {
    let (mut missing, mut parts) = (amount.max(0), Vec::new());
    for payment in money::in_turn(payments).into_iter().rev() {
        let part = payment.refundable().minor().min(missing);
        if part > 0 {
            parts.push((payment.clone(), part));
            missing -= part;
        }
    }
    (parts, missing)
}

/// That no more is asked for than can be given back.
pub(super) fn enough(order: &OrderDocument, amount: i64, missing: i64) -> Result<()> {
    if missing == 0 {
        return Ok(());
    }
    let refundable = Money::from_minor(amount - missing, order.currency);
    let error = Error::problem(Code::RefundExceeded, format!("at most {refundable} can be refunded"));
    Err(error.at("/amount").with("refundable", serde_json::to_value(refundable)?))
}

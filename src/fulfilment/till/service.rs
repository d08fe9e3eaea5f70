//! Commands of the till. Each locks the order first, so that everything on one order happens one after another.

use serde::Serialize;

use super::refunds::{RefundKind, RefundedLine};
use crate::{
    channels::{self, Overpaid, Prepayment},
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    fulfilment::{
        Fresh,
        cancel::within_ceiling,
        ids::Draw,
        jobs,
        money::{self, Settling},
        service::announce,
    },
    kernel::{
        Actor, Instant, Money,
        ids::{CartId, OrderId, PaymentId, PaymentOperationId},
    },
    orders::{self, OrderDocument},
    payments::{
        self, Account, MANUAL, NewOperation, NewPayment, Operation, OperationKind, OperationState, Payment,
        PaymentDetails, PaymentState, PaymentView, Posting, Target, is_by_hand, ledger, renewals,
    },
};

/// Money that came in.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// How much; all that is owed when absent, less what is being captured otherwise.
    pub amount: Option<Money>,
    /// What names it: the bank's reference. Each is booked once.
    pub reference: String,
    /// When it came, if that was not now.
    pub occurred_at: Option<Instant>,
}

/// Records money received for an order, whatever its state and however it was to be paid: what is too much is given back.
///
/// # Errors
/// `not_found`; `duplicate` for a reference booked before; `state_conflict` when nothing is owed and no amount is named;
/// `ceiling_exceeded` when so much would have to be given back.
pub fn record_payment(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: OrderId,
    receipt: &Receipt,
) -> Result<OrderDocument> {
    let order = orders::lock(tx, id)?;
    record_payment_of(tx, now, actor, fresh, order, receipt)
}

/// The same for an order that is locked and was read under the lock.
///
/// # Errors
/// As [`record_payment`].
pub fn record_payment_of(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    mut order: OrderDocument,
    receipt: &Receipt,
) -> Result<OrderDocument> {
    let id = order.id;
    order.state.apply(orders::Command::RecordPayment)?;
    let (at, mut draw) = (receipt.occurred_at.unwrap_or(now), fresh.draw());
    let known = payments::of_order(tx, id)?;
    let owed = owed_beside(tx, id, &known)?;
    let amount = match receipt.amount {
        Some(amount) => in_currency(&order, amount)?,
        // What a card or a gift card pays at this moment did not come by hand as well.
        None => owed - known.iter().map(|payment| payment.capture_pending.minor()).sum::<i64>(),
    };
    if amount <= 0 {
        let known: Vec<PaymentId> = known.iter().map(|payment| payment.id).collect();
        if payments::operations(tx, &known)?.iter().any(|operation| operation.our_key == our_key(id, receipt)) {
            return Err(booked_already());
        }
        return Err(Error::conflict("nothing is owed: name the amount that came in"));
    }
    let terms = channels::settings(tx, order.channel_id)?.and_then(|settings| settings.prepayment);
    let late = regained(tx, id, amount - owed.clamp(0, amount))?;
    let over = amount - owed.clamp(0, amount) - late.iter().map(|(_, back)| back).sum::<i64>();
    let keeps = terms.as_ref().is_some_and(|terms| terms.overpaid == Overpaid::Keep);
    if !keeps {
        within_ceiling(actor, over).map_err(|error| error.at("/amount"))?;
    }
    let new = NewOperation {
        id: draw.next(),
        payment: payment_for(tx, now, &order, &mut draw, receipt, amount)?,
        kind: OperationKind::Capture,
        our_key: our_key(id, receipt),
        amount,
        reason: Some(receipt.reference.clone()),
        idempotency_id: None,
    };
    booked_once(payments::record_operation(tx, now, &new))?;
    let operation = done(&new, now);
    let mut postings: Vec<Posting> = jobs::posting(&order, &operation, at).into_iter().collect();
    // What was not asked for any more comes after all: it is what the order had cost, and none too much.
    for (payment, back) in &late {
        let name = format!("regained:{}:{payment}", operation.id);
        postings.push(posting(&order, name, at, *back, Account::WriteOff));
        renewals::write_off(tx, now, *payment, -back)?;
    }
    if keeps && over > 0 {
        postings.push(posting(&order, format!("unapplied:{}", operation.id), at, over, Account::Unapplied));
    }
    let missing = owed - amount;
    if missing > 0 && tolerates(tx, &order, terms.as_ref(), missing)? {
        postings.push(posting(&order, format!("tolerated:{}", operation.id), at, -missing, Account::WriteOff));
        renewals::write_off(tx, now, operation.payment, missing)?;
    }
    ledger::post(tx, now, postings)?;
    let payment = jobs::refresh(tx, &mut order, &operation)?;
    orders::save(tx, now, &mut order, &[], 1)?;
    money::settle_returns(tx, (now, at), &order, &mut draw, &Settling::because("payment received"))?;
    let happened = vec![jobs::moved(&order, &payment, &operation)?];
    announce(tx, (now, at), actor, &order, &mut draw, happened)?;
    orders::holds::when_paid(tx, now, draw.next(), &mut order)?;
    reread(tx, &mut order)?;
    Ok(order)
}

/// What moves between what the customer owes and another account: above zero, the customer owes so much more.
pub(super) fn posting(order: &OrderDocument, posting: String, at: Instant, amount: i64, against: Account) -> Posting {
    let entries = vec![(Account::Receivable, amount), (against, -amount)];
    Posting { order: order.id, posting, occurred_at: at, currency: order.currency, entries }
}

/// What of money that nobody asks for pays what was written off because it was so little: by the payments it was written off of.
fn regained(tx: &mut Tx, order: OrderId, over: i64) -> Result<Vec<(PaymentId, i64)>> {
    let mut found = Vec::new();
    if over <= 0 {
        return Ok(found);
    }
    let mut left = over.min(money::balance_of(tx, order, Account::WriteOff)?);
    for payment in payments::of_order(tx, order)? {
        let back = payment.details.written_off.unwrap_or_default().min(left);
        if back > 0 {
            left -= back;
            found.push((payment.id, back));
        }
    }
    Ok(found)
}

/// Whether so little is missing that it is not asked for: by the terms of the channel, where nobody else is to pay it.
fn tolerates(tx: &mut Tx, order: &OrderDocument, terms: Option<&Prepayment>, missing: i64) -> Result<bool> {
    if terms.is_none_or(|terms| missing > terms.tolerated(order.currency)) {
        return Ok(false);
    }
    let others = payments::of_order(tx, order.id)?;
    let mut others = others.iter().filter(|payment| payment.provider != MANUAL);
    Ok(others.all(|payment| payment.capturable().minor() == 0 && payment.capture_pending.minor() == 0))
}

fn our_key(order: OrderId, receipt: &Receipt) -> String {
    format!("received:{order}:{}", receipt.reference)
}

fn booked_once(result: Result<()>) -> Result<()> {
    on_duplicate(result, booked_already).map_err(|error| match error.code() {
        Code::Duplicate => booked_already(),
        _ => error,
    })
}

fn booked_already() -> Error {
    Error::problem(Code::Duplicate, "money with this reference has been recorded already").at("/reference")
}

/// The payment that takes the money: the order's own promise to pay by hand while so much of it is open, else a new one.
fn payment_for(
    tx: &mut Tx,
    now: Instant,
    order: &OrderDocument,
    draw: &mut Draw<'_>,
    receipt: &Receipt,
    amount: i64,
) -> Result<PaymentId> {
    let known = payments::of_order(tx, order.id)?;
    let open = known.iter().find(|payment| is_by_hand(&payment.provider) && payment.capturable().minor() >= amount);
    if let Some(open) = open {
        return Ok(open.id);
    }
    let id = draw.next();
    let new = NewPayment {
        id,
        cart: order.cart_id.unwrap_or_else(|| CartId::from_bytes(*order.id.bytes())),
        order: Some(order.id),
        provider: MANUAL.to_owned(),
        our_key: our_key(order.id, receipt),
        amount: Money::from_minor(amount, order.currency),
        state: PaymentState::Authorised,
        provider_ref: None,
        lease_until: None,
        idempotency_id: None,
        details: PaymentDetails { occurred_at: receipt.occurred_at, ..PaymentDetails::default() },
        expires_at: None,
        due_at: None,
    };
    booked_once(payments::open(tx, now, &new))?;
    Ok(id)
}

/// An operation that has been recorded as done.
fn done(new: &NewOperation, now: Instant) -> Operation {
    let NewOperation { id, payment, kind, our_key, amount, reason, idempotency_id } = new.clone();
    let (state, error) = (OperationState::Done, None);
    Operation {
        id,
        payment,
        kind,
        our_key,
        state,
        amount,
        reason,
        error,
        idempotency_id,
        created_at: now,
        updated_at: now,
        target: None,
        stored_value: None,
    }
}

/// What the customer owes by the ledger, as far as that is not lowered by what is still to be paid out to them: once it is, they owe that
/// much again. Below zero, what they are owed.
pub(super) fn owed(tx: &mut Tx, order: OrderId) -> Result<i64> {
    let known = payments::of_order(tx, order)?;
    owed_beside(tx, order, &known)
}

/// The same where the order's payments are known.
pub(super) fn owed_beside(tx: &mut Tx, order: OrderId, known: &[Payment]) -> Result<i64> {
    let booked = money::balance_of(tx, order, Account::Receivable)?;
    let paid_out = booked + known.iter().map(|payment| payment.refund_pending.minor()).sum::<i64>();
    Ok(if paid_out > 0 { paid_out } else { booked })
}

pub(super) fn in_currency(order: &OrderDocument, amount: Money) -> Result<i64> {
    in_currency_at(order, amount, "/amount")
}

/// That an amount that stands there in the request is in the order's currency and above zero.
pub(super) fn in_currency_at(order: &OrderDocument, amount: Money, pointer: &str) -> Result<i64> {
    if amount.currency() != order.currency {
        return Err(Error::invalid(format!("{pointer}/currency"), format!("the order is in {}", order.currency)));
    }
    match amount.minor() {
        minor @ 1.. => Ok(minor),
        _ => Err(Error::invalid(format!("{pointer}/amount"), "expected an amount above zero")),
    }
}

/// What `payment.refund_requested.v1` says.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::fulfilment) struct RefundRequested<'a> {
    /// The order.
    pub(super) order_id: OrderId,
    /// Its number.
    pub(super) order_number: &'a str,
    /// As what, where it is not what was paid too much. More kinds may come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<RefundKind>,
    /// How much is to be given back.
    pub(super) amount: Money,
    /// For which lines how much; of a lower price these are all of it.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) lines: &'a [RefundedLine],
    /// Where to.
    pub(super) to: Target,
    /// Why.
    pub(super) reason: &'a str,
    /// The order's payments.
    pub(super) payments: &'a [PaymentView],
}

/// Reads the payments of a locked order again after something was begun on them, and what can be done with it then.
pub(super) fn reread(tx: &mut Tx, order: &mut OrderDocument) -> Result<()> {
    order.payments = payments::of_order(tx, order.id)?.iter().map(PaymentView::from).collect();
    order.settle();
    Ok(())
}

/// Asks the providers again for whatever is still to be captured, given back or let go. Where there is nothing, or where
/// they are being asked already, nothing happens.
///
/// # Errors
/// `not_found`.
pub fn settle(tx: &mut Tx, now: Instant, fresh: &Fresh, id: OrderId) -> Result<OrderDocument> {
    let mut order = orders::lock(tx, id)?;
    order.state.apply(orders::Command::Settle)?;
    money::settle_returns(tx, (now, now), &order, &mut fresh.draw(), &Settling::because("asked again"))?;
    reread(tx, &mut order)?;
    Ok(order)
}

/// That money has been moved by hand.
#[derive(Debug, Clone, Default)]
pub struct Confirmation {
    /// What names it: the bank's reference.
    pub reference: Option<String>,
    /// When, if that was not now.
    pub occurred_at: Option<Instant>,
}

/// Notes that what waited to be paid out by hand, or what a provider had refused, has been done by hand.
///
/// # Errors
/// `not_found`; `state_conflict` when it is done, is being asked for, or was tried again since; `payment_not_capturable`
/// and `refund_exceeded` when the money has gone another way.
pub fn confirm(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: PaymentOperationId,
    what: &Confirmation,
) -> Result<OrderDocument> {
    let missing = || Error::not_found("payment operation");
    let operation = payments::operation(tx, id)?.ok_or_else(missing)?;
    let payment = payments::get(tx, operation.payment)?.ok_or_else(missing)?;
    let mut order = orders::lock(tx, payment.order_id.ok_or_else(missing)?)?;
    if !actor.sees_channel(order.channel_id) {
        return Err(missing());
    }
    order.check_time(what.occurred_at, "/occurred_at")?;
    if operation.kind != OperationKind::Void {
        within_ceiling(actor, operation.amount)?;
    }
    let (at, mut draw) = (what.occurred_at.unwrap_or(now), fresh.draw());
    let operation = payments::confirm_operation(tx, now, id, what.reference.as_deref())?;
    ledger::post(tx, now, jobs::posting(&order, &operation, at).into_iter().collect())?;
    let payment = jobs::refresh(tx, &mut order, &operation)?;
    orders::save(tx, now, &mut order, &[], 1)?;
    money::settle_returns(tx, (now, at), &order, &mut draw, &Settling::because("confirmed"))?;
    let happened = vec![jobs::moved(&order, &payment, &operation)?];
    announce(tx, (now, at), actor, &order, &mut draw, happened)?;
    reread(tx, &mut order)?;
    Ok(order)
}

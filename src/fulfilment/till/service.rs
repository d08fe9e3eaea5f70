//! Commands of the till. Each locks the order first, so that everything on one order happens one after another.

use serde::Serialize;

use crate::{
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    events::Payload,
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
        PaymentDetails, PaymentState, PaymentView, Posting, ledger,
    },
};

/// Money that came in.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// How much; all that is owed when absent.
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
    let owed = owed(tx, id)?;
    let amount = match receipt.amount {
        Some(amount) => in_currency(&order, amount)?,
        None => owed,
    };
    if amount <= 0 {
        let known: Vec<PaymentId> = payments::of_order(tx, id)?.iter().map(|payment| payment.id).collect();
        if payments::operations(tx, &known)?.iter().any(|operation| operation.our_key == our_key(id, receipt)) {
            return Err(booked_already());
        }
        return Err(Error::conflict("nothing is owed: name the amount that came in"));
    }
    within_ceiling(actor, amount - owed.clamp(0, amount)).map_err(|error| error.at("/amount"))?;
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
    ledger::post(tx, now, jobs::posting(&order, &operation, at).into_iter().collect())?;
    let payment = jobs::refresh(tx, &mut order, &operation)?;
    orders::save(tx, now, &mut order, &[], 1)?;
    money::settle_returns(tx, (now, at), &order, &mut draw, &Settling::because("payment received"))?;
    let happened = vec![jobs::moved(&order, &payment, &operation)?];
    announce(tx, (now, at), actor, &order, &mut draw, happened)?;
    orders::holds::when_paid(tx, now, draw.next(), &mut order)?;
    reread(tx, &mut order)?;
    Ok(order)
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
    let open = known.iter().find(|payment| payment.provider == MANUAL && payment.capturable().minor() >= amount);
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
    }
}

/// What the customer owes by the ledger.
fn owed(tx: &mut Tx, order: OrderId) -> Result<i64> {
    let balance = ledger::balance(tx, order)?;
    Ok(balance.iter().find(|(account, _)| *account == Account::Receivable).map_or(0, |(_, sum)| *sum))
}

fn in_currency(order: &OrderDocument, amount: Money) -> Result<i64> {
    if amount.currency() != order.currency {
        return Err(Error::invalid("/amount/currency", format!("the order is in {}", order.currency)));
    }
    match amount.minor() {
        minor @ 1.. => Ok(minor),
        _ => Err(Error::invalid("/amount/amount", "expected an amount above zero")),
    }
}

/// What `payment.refund_requested.v1` says.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::fulfilment) struct RefundRequested<'a> {
    /// The order.
    order_id: OrderId,
    /// Its number.
    order_number: &'a str,
    /// How much is to be given back.
    amount: Money,
    /// Why.
    reason: &'a str,
    /// The order's payments.
    payments: &'a [PaymentView],
}

/// Gives money back beside any return: a goodwill. Jobs ask the providers; what goes back by hand waits for somebody.
///
/// # Errors
/// `not_found`, `state_conflict`, `refund_exceeded`, `ceiling_exceeded`.
pub fn refund(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: OrderId,
    amount: Money,
    reason: &str,
) -> Result<OrderDocument> {
    let mut order = orders::lock(tx, id)?;
    order.state.apply(orders::Command::Refund)?;
    order.free_for(orders::Command::Refund, &[], Some(now))?;
    let amount = in_currency(&order, amount)?;
    within_ceiling(actor, amount).map_err(|error| error.at("/amount"))?;
    let payments = payments::of_order(tx, id)?;
    let planned = spread(&order, &payments, amount)?;
    let mut draw = fresh.draw();
    let name: PaymentOperationId = draw.next();
    // What is given away is not owed: only so does the money that goes back leave the customer's account as it was.
    let posting = Posting {
        order: id,
        posting: format!("goodwill:{name}"),
        occurred_at: now,
        currency: order.currency,
        entries: vec![(Account::Receivable, -amount), (Account::WriteOff, amount)],
    };
    ledger::post(tx, now, vec![posting])?;
    orders::save(tx, now, &mut order, &[], 1)?;
    money::begin(tx, (now, now), &order, &mut draw, &Settling::because(reason), &planned)?;
    reread(tx, &mut order)?;
    let data = RefundRequested {
        order_id: id,
        order_number: &order.number,
        amount: Money::from_minor(amount, order.currency),
        reason,
        payments: &order.payments,
    };
    let happened = vec![("payment.refund_requested.v1", Payload::of(&data)?)];
    announce(tx, (now, now), actor, &order, &mut draw, happened)?;
    Ok(order)
}

/// Which payment gives how much back.
fn spread<'a>(order: &OrderDocument, payments: &'a [Payment], amount: i64) -> Result<Vec<money::Planned<'a>>> {
    let mut missing = amount;
    let mut planned = Vec::new();
    for payment in money::in_turn(payments).into_iter().rev() {
        let part = payment.refundable().minor().min(missing);
        if part > 0 {
            planned.push((payment, OperationKind::Refund, part));
            missing -= part;
        }
    }
    if missing > 0 {
        let refundable = Money::from_minor(amount - missing, order.currency);
        let error = Error::problem(Code::RefundExceeded, format!("at most {refundable} can be refunded"));
        return Err(error.at("/amount").with("refundable", serde_json::to_value(refundable)?));
    }
    Ok(planned)
}

/// Reads the payments of a locked order again after something was begun on them, and what can be done with it then.
fn reread(tx: &mut Tx, order: &mut OrderDocument) -> Result<()> {
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

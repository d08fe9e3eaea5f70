//! Commands and queries on payments. All of them are part of the caller's transaction.

use super::{
    disputes,
    model::{
        Action, Decline, NewOperation, NewPayment, Operation, OperationKind, OperationState, Payment, PaymentDetails,
        PaymentState, Resolution, Target, Trouble,
    },
    provider::Notification,
    store,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    kernel::{
        Instant,
        ids::{CartId, OrderId, PaymentId, PaymentOperationId, StoredValueId},
    },
};

pub(super) use super::store::sold;

/// Writes a payment: pending and leased to the caller, or authorised at once where the provider is immediate.
///
/// # Errors
/// `duplicate` when its key is taken.
pub fn open(tx: &mut Tx, now: Instant, new: &NewPayment) -> Result<()> {
    open_all(tx, now, std::slice::from_ref(new))
}

/// The same for several at once: one statement.
///
/// # Errors
/// `duplicate` when a key is taken.
pub fn open_all(tx: &mut Tx, now: Instant, new: &[NewPayment]) -> Result<()> {
    let keys = || new.iter().map(|one| one.our_key.as_str()).collect::<Vec<_>>().join(", ");
    on_duplicate(store::insert(tx, now, new), || taken(&keys()))
}

/// The provider promises the money, and this is the order; `told` is what it calls the payment, and until when that holds. False when the answer comes too late: somebody else has
/// taken the payment up since, or it has ended.
///
/// # Errors
/// What the database says.
pub fn authorised(
    tx: &mut Tx,
    now: Instant,
    id: PaymentId,
    attempt: i64,
    told: (Option<&str>, Option<Instant>),
    order: OrderId,
) -> Result<bool> {
    store::authorised(tx, now, id, attempt, told, order)
}

/// The customer has to act, and has until `lease_until` to do it. False when it comes too late.
///
/// # Errors
/// What the database says.
pub fn action_required(
    tx: &mut Tx,
    now: Instant,
    id: PaymentId,
    attempt: i64,
    action: &Action,
    provider_ref: Option<&str>,
    lease_until: Instant,
) -> Result<bool> {
    store::action_required(tx, now, id, attempt, action, provider_ref, lease_until)
}

/// The provider said no. False when it comes too late.
///
/// # Errors
/// What the database says.
pub fn declined(tx: &mut Tx, now: Instant, id: PaymentId, attempt: i64, decline: &Decline) -> Result<bool> {
    store::ended(tx, now, id, attempt, PaymentState::Declined, Some(decline))
}

/// The promise was given up before there was an order. Call it after the provider has voided. False when it comes too
/// late.
///
/// # Errors
/// What the database says.
pub fn voided(tx: &mut Tx, now: Instant, id: PaymentId, attempt: i64) -> Result<bool> {
    store::ended(tx, now, id, attempt, PaymentState::Voided, None)
}

/// It came to nothing for a reason that a person has to look at. False when it comes too late.
///
/// # Errors
/// What the database says.
pub fn failed(tx: &mut Tx, now: Instant, id: PaymentId, attempt: i64, reason: &Decline) -> Result<bool> {
    store::ended(tx, now, id, attempt, PaymentState::Failed, Some(reason))
}

/// It is not known yet what became of it, or it could not be written down: it is tried again at `trouble.retry_at`. False
/// when it comes too late.
///
/// # Errors
/// What the database says.
pub fn put_off(tx: &mut Tx, now: Instant, id: PaymentId, attempt: i64, trouble: &Trouble) -> Result<bool> {
    store::put_off(tx, now, id, attempt, trouble)
}

/// Notes why an open payment is being ended, before its provider is told: from then on neither a promise nor an action of
/// the customer comes of it, whoever takes it up. `None` takes the note back. False when it comes too late.
///
/// # Errors
/// What the database says.
pub fn ending(tx: &mut Tx, now: Instant, id: PaymentId, attempt: i64, why: Option<&str>) -> Result<bool> {
    store::ending(tx, now, id, attempt, why)
}

/// Takes up to `limit` payments whose answer is overdue, the longest overdue first, each under a new lease. What another
/// sweeper is taking at this moment is left to it.
///
/// # Errors
/// What the database says.
pub fn claim_due(tx: &mut Tx, now: Instant, lease_seconds: i64, limit: i64) -> Result<Vec<Payment>> {
    store::claim_due(tx, now, lease_seconds, limit)
}

/// Takes a payment up because its provider has told something, whoever holds its lease: their answer comes too late
/// then. `None` when there is no such payment or it is not open any more.
///
/// # Errors
/// What the database says.
pub fn claim(tx: &mut Tx, now: Instant, our_key: &str, lease_seconds: i64) -> Result<Option<Payment>> {
    store::claim(tx, now, our_key, lease_seconds)
}

/// Whether an answer is overdue: a cheap look before [`claim_due`].
///
/// # Errors
/// What the database says.
pub fn any_due(tx: &mut Tx, now: Instant) -> Result<bool> {
    store::any_due(tx, now)
}

/// What was promised finds no order after all: the payment stays authorised without one, which is what the work list
/// of money without an order shows, until it is [`given_up`]. Call it in the transaction that calls [`authorised`].
///
/// # Errors
/// `state_conflict` when the payment is not authorised or money has moved.
pub fn orphaned(tx: &mut Tx, now: Instant, id: PaymentId) -> Result<()> {
    match store::orphaned(tx, now, id)? {
        true => Ok(()),
        false => Err(Error::conflict("the payment is not authorised, or its money has moved")),
    }
}

/// The provider promises money for an attempt that had ended without an order. It is authorised without one then, and
/// given back to the caller, who has the provider void it and calls [`given_up`]. `None` when the promise is known and
/// has its order, or there is no such payment.
///
/// # Errors
/// What the database says.
pub fn late_promise(tx: &mut Tx, now: Instant, our_key: &str) -> Result<Option<Payment>> {
    store::late_promise(tx, now, our_key)
}

/// The provider has voided a promise that has no order, or heard at last that an attempt is over. False when there was
/// nothing to give up any more.
///
/// # Errors
/// What the database says.
pub fn given_up(tx: &mut Tx, now: Instant, id: PaymentId) -> Result<bool> {
    store::given_up(tx, now, id)
}

/// Somebody has found out what became of a payment that failed: it waits for nobody any more. Should its provider hear of its
/// end, or promise its money, later, that goes on as it would.
///
/// # Errors
/// `not_found`; `state_conflict` when it is not failed, or was resolved before.
pub fn resolve(tx: &mut Tx, now: Instant, id: PaymentId, resolution: &Resolution) -> Result<Payment> {
    let resolved = store::resolve(tx, now, id, resolution)?;
    let payment = store::get(tx, id)?.ok_or_else(|| Error::not_found("payment"))?;
    if resolved {
        return Ok(payment);
    }
    let why = payment.resolvable().err().unwrap_or_else(|| "the payment has changed meanwhile".to_owned());
    Err(Error::conflict(why))
}

/// A payment.
///
/// # Errors
/// What the database says.
pub fn get(tx: &mut Tx, id: PaymentId) -> Result<Option<Payment>> {
    store::get(tx, id)
}

/// A payment by what its provider knows it by.
///
/// # Errors
/// What the database says.
pub fn by_key(tx: &mut Tx, our_key: &str) -> Result<Option<Payment>> {
    store::by_key(tx, our_key)
}

/// Up to so many payments that somebody may mean: by our key of them or of what was done with their money, by what their provider calls them,
/// or by their id. Whoever asks looks who may see them.
///
/// # Errors
/// What the database says.
pub fn called(tx: &mut Tx, name: &str, limit: i64) -> Result<Vec<Payment>> {
    let mut found = store::called(tx, name, limit)?;
    if let Ok(id) = name.parse() {
        found.extend(get(tx, id)?);
    }
    Ok(found)
}

/// Our key of the payment that a notification is about; `None` where there is none.
///
/// # Errors
/// What the database says.
pub fn key_of(tx: &mut Tx, notification: &Notification) -> Result<Option<String>> {
    match &notification.provider_ref {
        Some(name) if notification.our_key.is_empty() => {
            Ok(store::by_reference(tx, name)?.map(|payment| payment.our_key))
        }
        _ => Ok(Some(notification.our_key.clone())),
    }
}

/// The payments of a cart, oldest first.
///
/// # Errors
/// What the database says.
pub fn of_cart(tx: &mut Tx, cart: CartId) -> Result<Vec<Payment>> {
    store::of_cart(tx, cart)
}

/// The payments of an order, oldest first.
///
/// # Errors
/// What the database says.
pub fn of_order(tx: &mut Tx, order: OrderId) -> Result<Vec<Payment>> {
    store::of_orders(tx, &[order])
}

/// The payments of orders, oldest first, with one statement.
///
/// # Errors
/// What the database says.
pub fn of_orders(tx: &mut Tx, orders: &[OrderId]) -> Result<Vec<Payment>> {
    store::of_orders(tx, orders)
}

/// Begins to move money: counts it as spoken for and writes the operation down. The caller enqueues the job that asks
/// the provider and then calls [`finish_operation`] or [`fail_operation`].
///
/// # Errors
/// `payment_not_capturable`, `refund_exceeded` or `state_conflict` when there is not so much left;
/// `duplicate` when the key is taken; `not_found`.
pub fn begin_operation(tx: &mut Tx, now: Instant, new: &NewOperation) -> Result<()> {
    check_amount(new)?;
    if !store::begin(tx, now, new)? {
        return Err(why_not(tx, new)?);
    }
    on_duplicate(store::insert_operation(tx, now, new, false, None), || taken(&new.our_key))
}

/// The provider has done it. `None` when it had ended before: nothing is counted twice.
///
/// # Errors
/// What the database says.
pub fn finish_operation(tx: &mut Tx, now: Instant, id: PaymentOperationId) -> Result<Option<Operation>> {
    let Some(operation) = store::end_operation(tx, now, id, None)? else { return Ok(None) };
    store::count(tx, now, &operation, store::Counting::Done)?;
    Ok(Some(operation))
}

/// The provider refuses for good: the money is free again. `None` when it had ended before.
///
/// # Errors
/// What the database says.
pub fn fail_operation(tx: &mut Tx, now: Instant, id: PaymentOperationId, error: &str) -> Result<Option<Operation>> {
    let Some(operation) = store::end_operation(tx, now, id, Some(error))? else { return Ok(None) };
    store::count(tx, now, &operation, store::Counting::Failed)?;
    Ok(Some(operation))
}

/// Somebody has done an operation by hand: a refund that waited for it, or what the provider had refused. `note` is added
/// to its reason. Call it under the lock of what the payment is for.
///
/// # Errors
/// `state_conflict` when it has ended, is being asked for or was tried again since; as [`begin_operation`] when the money
/// has gone another way.
pub fn confirm_operation(tx: &mut Tx, now: Instant, id: PaymentOperationId, note: Option<&str>) -> Result<Operation> {
    let missing = || Error::not_found("payment operation");
    let found = store::operation(tx, id)?.ok_or_else(missing)?;
    let payment = store::get(tx, found.payment)?.ok_or_else(missing)?;
    let others = store::operations(tx, &[found.payment])?;
    found.confirmable(&payment, &others).map_err(Error::conflict)?;
    let reason = [found.reason.as_deref(), note].into_iter().flatten().collect::<Vec<_>>().join("; ");
    let ended = || Error::conflict("the operation has ended meanwhile");
    let operation = store::confirm(tx, now, &found, &reason)?.ok_or_else(ended)?;
    if found.state == OperationState::Pending {
        store::count(tx, now, &operation, store::Counting::Done)?;
        return Ok(operation);
    }
    let (payment, kind, our_key) = (operation.payment, operation.kind, operation.our_key.clone());
    let (amount, idempotency_id) = (operation.amount, operation.idempotency_id);
    let new = NewOperation { id, payment, kind, our_key, amount, reason: None, idempotency_id };
    if store::record(tx, now, &new)? { Ok(operation) } else { Err(why_not(tx, &new)?) }
}

/// Writes down money that has moved already and that no provider is asked about: a bank transfer that came in.
///
/// # Errors
/// As [`begin_operation`].
pub fn record_operation(tx: &mut Tx, now: Instant, new: &NewOperation) -> Result<()> {
    check_amount(new)?;
    if !store::record(tx, now, new)? {
        return Err(why_not(tx, new)?);
    }
    on_duplicate(store::insert_operation(tx, now, new, true, None), || taken(&new.our_key))
}

/// Writes down that money goes back onto a gift card or store credit and not the way it came: it counts as refunded at once. The
/// caller books it there in the same transaction.
///
/// # Errors
/// As [`begin_operation`].
pub fn give_otherwise(tx: &mut Tx, now: Instant, new: &NewOperation, to: (Target, StoredValueId)) -> Result<()> {
    check_amount(new)?;
    if !store::record(tx, now, new)? {
        return Err(why_not(tx, new)?);
    }
    on_duplicate(store::insert_operation(tx, now, new, true, Some(to)), || taken(&new.our_key))
}

/// A refund that was done has come to nothing: it counts as not given back, and what is to be done now is a failed refund of its own, which
/// is given. `None` where it is not done the way the money came, or was undone before. Call it under the lock of what the payment is for.
///
/// # Errors
/// What the database says.
pub fn unrefund(
    tx: &mut Tx,
    now: Instant,
    id: PaymentOperationId,
    fresh: PaymentOperationId,
    why: &str,
) -> Result<Option<Operation>> {
    let Some(undone) = store::undo_refund(tx, now, id, why)? else { return Ok(None) };
    let again = NewOperation {
        id: fresh,
        payment: undone.payment,
        kind: OperationKind::Refund,
        our_key: fresh.to_string(),
        amount: undone.amount,
        reason: undone.reason,
        idempotency_id: None,
    };
    store::insert_operation(tx, now, &again, false, None)?;
    store::end_operation(tx, now, fresh, Some(why))
}

/// The operations of payments, oldest first, with one statement.
///
/// # Errors
/// What the database says.
pub fn operations(tx: &mut Tx, payments: &[PaymentId]) -> Result<Vec<Operation>> {
    store::operations(tx, payments)
}

/// An operation.
///
/// # Errors
/// What the database says.
pub fn operation(tx: &mut Tx, id: PaymentOperationId) -> Result<Option<Operation>> {
    store::operation(tx, id)
}

fn check_amount(new: &NewOperation) -> Result<()> {
    match new.amount {
        1.. => Ok(()),
        _ => Err(Error::invalid("/amount", "expected an amount above zero")),
    }
}

/// Why a guard has refused; read only to say it, the guard has decided.
fn why_not(tx: &mut Tx, new: &NewOperation) -> Result<Error> {
    let Some(payment) = store::get(tx, new.payment)? else { return Ok(Error::not_found("payment")) };
    let (capturable, refundable) = (payment.capturable(), payment.refundable());
    let state = payment.state;
    Ok(match new.kind {
        OperationKind::Capture => {
            let detail = format!("the payment is {state} and {capturable} of it can be captured");
            Error::problem(Code::PaymentNotCapturable, detail).with("capturable", serde_json::to_value(capturable)?)
        }
        OperationKind::Void => Error::conflict(format!("the payment is {state} and {capturable} of it can be voided"))
            .with("voidable", serde_json::to_value(capturable)?),
        OperationKind::Refund => {
            let detail = format!("{refundable} of this payment can be refunded");
            Error::problem(Code::RefundExceeded, detail).with("refundable", serde_json::to_value(refundable)?)
        }
    })
}

fn taken(our_key: &str) -> Error {
    Error::problem(Code::Duplicate, format!("the key `{our_key}` is taken"))
}

/// Erases what was kept of who paid carts and with what; amounts, states and what the provider calls the payments stay.
///
/// # Errors
/// `state_conflict` when an attempt is under way.
pub fn erase(tx: &mut Tx, carts: &[CartId]) -> Result<()> {
    let payments = store::of_carts_locked(tx, carts)?;
    if payments.iter().any(|payment| payment.state.is_open()) {
        return Err(Error::conflict("a cart is being paid: try again when that has ended"));
    }
    let ids: Vec<PaymentId> = payments.iter().map(|payment| payment.id).collect();
    disputes::erase(tx, &ids)?;
    let bare = payments.into_iter().filter_map(|payment| {
        let PaymentDetails { decline, occurred_at, resolved, written_off, reminded, .. } = payment.details.clone();
        // Without it, what was looked at would wait for somebody again.
        let resolved = resolved.map(|resolved| Resolution { reason: None, ..resolved });
        let bare =
            PaymentDetails { decline, occurred_at, resolved, written_off, reminded, ..PaymentDetails::default() };
        (bare != payment.details).then_some((payment.id, bare))
    });
    let bare: Vec<_> = bare.collect();
    if bare.is_empty() { Ok(()) } else { store::erase(tx, &bare) }
}

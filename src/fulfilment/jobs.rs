//! Jobs that ask a payment provider, and what their answers do to an order.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    ids::Fresh,
    money::{self, CAPTURE, REFUND, Settling, VOID},
    service::announce,
    till,
};
use crate::{
    db::{Lane, Tx},
    error::{Error, Result},
    events::Payload,
    http::State,
    jobs::{self, Job, Runner, Verdict},
    kernel::{
        Actor, Instant, Money,
        ids::{OrderId, PaymentOperationId, StoredValueId},
    },
    orders::{self, OrderDocument},
    payments::{
        self, Account, Operation, OperationKind, OperationState, Payment, PaymentView, Posting, ProviderError,
        Providers, ledger,
    },
    stored_value,
};

/// What a job needs to know.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Task {
    operation: PaymentOperationId,
    order: OrderId,
    /// When that happened which it follows from, where it was reported later.
    #[serde(default)]
    at: Option<Instant>,
}

/// Registers what is done beside requests.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let providers = payments::providers(state);
    for kind in [CAPTURE, VOID, REFUND] {
        let (state, providers) = (state.clone(), providers.clone());
        runner.handle(kind, move |job| {
            let (state, providers) = (state.clone(), providers.clone());
            async move { perform(&state, &providers, job).await }
        });
    }
}

/// Asks the provider, outside any transaction, and writes the answer down together with the job's end. A repeated job
/// asks with the same key, which the provider answers as it did the first time. The answer is waited for no longer than half
/// of the job's lease: a provider that hangs keeps no place, and nobody takes the job over from who still asks.
async fn perform(state: &State, providers: &Providers, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let found = state.db.read(move |tx| {
        let operation = payments::operation(tx, task.operation)?;
        let payment = operation.as_ref().map(|operation| payments::get(tx, operation.payment)).transpose()?;
        // The provider knows it with all its shares.
        let payment = payment.flatten().map(|payment| payments::shares::whole(tx, &payment)).transpose()?;
        Ok(operation.zip(payment))
    });
    let Some((operation, payment)) = found.await? else {
        return Ok(Verdict::Dead { error: "the operation is not there".to_owned() });
    };
    if operation.state != OperationState::Pending {
        return Ok(Verdict::Done);
    }
    let lease = Duration::from_secs(u64::try_from(state.settings.jobs.lease_seconds).unwrap_or_default());
    let refused = match payments::patiently(lease / 2, providers.perform(&payment, &operation)).await {
        Ok(()) => None,
        Err(ProviderError::Refused(why)) => Some(why),
        Err(error @ ProviderError::NoAnswer(_)) => return Err(Error::internal(error)),
    };
    let (fresh, now) = (Fresh::new(), state.clock.now());
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        conclude(tx, now, &fresh, &Actor::System("payments"), task, refused.as_deref())
    });
    written.await?;
    Ok(Verdict::Settled)
}

/// What giving up a dead job of this slice means: the provider is not asked any more, so what it was to do has failed.
/// Else the amount would count as under way for ever. What a gift card or store credit has booked is done, though the job never
/// came to write that down: it has not failed, and must not be done a second time.
///
/// # Errors
/// What the database says.
pub fn discarded(tx: &mut Tx, now: Instant, actor: &Actor, job: &Job) -> Result<()> {
    // A job that does not say what it is about has begun nothing.
    let Ok(task) = serde_json::from_value::<Task>(job.payload.clone()) else { return Ok(()) };
    let why = format!("given up: {}", job.last_error.as_deref().unwrap_or("it was never answered"));
    let operation = payments::operation(tx, task.operation)?;
    let booked = operation.map(|operation| stored_value::is_booked(tx, &operation.our_key)).transpose()?;
    let refused = Some(why.as_str()).filter(|_| booked != Some(true));
    conclude(tx, now, &Fresh::of(job.id), actor, task, refused)
}

/// Writes down how an operation ended: the counters, the ledger, the order's states, the event; and begins what follows.
/// What was refused is not asked again by itself: it is in a work list until somebody settles or confirms it.
fn conclude(tx: &mut Tx, now: Instant, fresh: &Fresh, actor: &Actor, task: Task, refused: Option<&str>) -> Result<()> {
    let mut order = orders::lock(tx, task.order)?;
    let at = task.at.unwrap_or(now);
    let ended = match refused {
        None => payments::finish_operation(tx, now, task.operation)?,
        Some(why) => payments::fail_operation(tx, now, task.operation, why)?,
    };
    // It ended before: whoever did that has done the rest as well.
    let Some(operation) = ended else { return Ok(()) };
    if refused.is_none() {
        ledger::post(tx, now, posting(&order, &operation, at).into_iter().collect())?;
    }
    let payment = refresh(tx, &mut order, &operation)?;
    orders::save(tx, now, &mut order, &[], 1)?;
    let mut draw = fresh.draw();
    let happened = vec![moved(&order, &payment, &operation)?];
    let how = Settling { but: refused.map(|_| operation.kind), ..Settling::because("balance") };
    money::settle_returns(tx, (now, at), &order, &mut draw, &how)?;
    announce(tx, (now, at), actor, &order, &mut draw, happened)?;
    if refused.is_some() && payment.has_expired(now) {
        // A promise that has ended while it was asked to keep it is asked for anew.
        payments::renewals::look_again(tx, now, payment.id)?;
    }
    if operation.kind == OperationKind::Capture && refused.is_none() {
        jobs::enqueue(tx, now, till::ask_later(now, draw.next(), &payment).into_iter().collect())?;
    }
    match (operation.kind, refused) {
        (OperationKind::Capture, None) => orders::holds::when_paid(tx, now, draw.next(), &mut order),
        _ => Ok(()),
    }
}

/// Reads an order's payments again, for one of them has changed, and gives that one.
pub(super) fn refresh(tx: &mut Tx, order: &mut OrderDocument, operation: &Operation) -> Result<Payment> {
    let payments = payments::of_order(tx, order.id)?;
    order.payments = payments.iter().map(PaymentView::from).collect();
    let changed = payments.into_iter().find(|payment| payment.id == operation.payment);
    changed.ok_or_else(|| Error::internal("an operation of a payment that the order does not have"))
}

/// What an operation that has ended books; nothing for a promise that was let go. Who pays with a gift card or store credit brings no money:
/// what is owed on these becomes less.
pub(super) fn posting(order: &OrderDocument, operation: &Operation, at: Instant) -> Option<Posting> {
    let amount = operation.amount;
    let payment = order.payments.iter().find(|payment| payment.id == operation.payment);
    let stored = payment.and_then(|payment| Account::of_stored(&payment.provider));
    let entries = match operation.kind {
        OperationKind::Capture => vec![(stored.unwrap_or(Account::Captured), amount), (Account::Receivable, -amount)],
        OperationKind::Refund => vec![(Account::Receivable, amount), (stored.unwrap_or(Account::Refunded), -amount)],
        OperationKind::Void => return None,
    };
    let posting = format!("{}:{}", operation.kind, operation.id);
    Some(Posting { order: order.id, posting, occurred_at: at, currency: order.currency, entries })
}

/// The payload of the events of a payment.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Moved<'a> {
    order_id: OrderId,
    order_number: &'a str,
    payment_state: orders::PaymentStatus,
    operation: PaymentOperationId,
    kind: OperationKind,
    amount: Money,
    reason: Option<&'a str>,
    error: Option<&'a str>,
    /// Where it went, where that is not the way it came: `gift_card` or `store_credit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<payments::Target>,
    /// The gift card or store credit.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_value_id: Option<StoredValueId>,
    payment: PaymentView,
}

/// The event of an operation that has ended.
pub(super) fn moved(
    order: &OrderDocument,
    payment: &Payment,
    operation: &Operation,
) -> Result<(&'static str, Payload)> {
    let kind = match (operation.state, operation.kind) {
        (OperationState::Failed, _) => "payment.operation_failed.v1",
        (_, OperationKind::Capture) => "payment.captured.v1",
        (_, OperationKind::Void) => "payment.voided.v1",
        (_, OperationKind::Refund) => "payment.refunded.v1",
    };
    let data = Moved {
        order_id: order.id,
        order_number: &order.number,
        payment_state: order.payment_state,
        operation: operation.id,
        kind: operation.kind,
        amount: Money::from_minor(operation.amount, order.currency),
        reason: operation.reason.as_deref(),
        error: operation.error.as_deref(),
        to: operation.target,
        stored_value_id: operation.stored_value,
        payment: PaymentView::from(payment),
    };
    Ok((kind, Payload::of(&data)?))
}

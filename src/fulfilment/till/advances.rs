//! Orders whose goods leave before those come back that they are exchanged for: what is promised for them is not taken until then. What came
//! back pays them first, as store credit; the rest of the promise pays what is left, or is let go.

use serde::Deserialize;

use super::service::{owed, reread};
use crate::{
    db::{Lane, Tx},
    error::{Code, Error, Result},
    fulfilment::{
        Fresh,
        money::{self, Settling},
    },
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::{
        Actor, Instant, Money,
        ids::{CartId, EventId, OrderId, PaymentId, StoredValueId},
    },
    orders::{
        self, OrderDocument,
        holds::{NewOrderHold, OrderHoldKind},
    },
    payments::{self, NewPayment, PaymentDetails, PaymentState},
    stored_value::{self, GIFT_CARD, Part, STORE_CREDIT, ValueKind},
};

/// Registers what is done beside requests: what was kept from being taken is taken once nothing keeps it any more.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(orders::holds::SETTLE, move |job| {
        let state = state.clone();
        async move { perform(&state, job).await }
    });
}

/// What a job needs to know.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Task {
    order: OrderId,
}

async fn perform(state: &State, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let (now, fresh) = (state.clock.now(), Fresh::of(job.id));
    let settled = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        let order = orders::lock(tx, task.order)?;
        if order.state.apply(orders::Command::Settle).is_err() {
            return Ok(());
        }
        money::settle_returns(tx, (now, now), &order, &mut fresh.draw(), &Settling::because("its hold has ended"))
    });
    settled.await?;
    Ok(Verdict::Settled)
}

/// Keeps the money of an order from being taken until it is known what comes back for it. Gives the order as it is then.
///
/// # Errors
/// `not_found`; `state_conflict` where it is held for that already.
pub fn await_return(
    tx: &mut Tx,
    by: (Instant, &Actor),
    event: EventId,
    id: OrderId,
    reason: &str,
) -> Result<OrderDocument> {
    let hold = NewOrderHold {
        kind: OrderHoldKind::Exchange,
        line_no: None,
        blocks: None,
        reason: reason.to_owned(),
        owner: None,
        expires_at: None,
    };
    orders::holds::hold(tx, by.0, by.1, event, id, &hold)
}

/// What an order still owes that nobody has paid, or is being asked for, in minor units; never below zero. Call it under the lock of the order.
///
/// # Errors
/// What the database says.
pub fn owed_of(tx: &mut Tx, id: OrderId) -> Result<i64> {
    unpaid(tx, id)
}

/// The same, without what providers are being asked to take.
fn unpaid(tx: &mut Tx, id: OrderId) -> Result<i64> {
    let pending: i64 = payments::of_order(tx, id)?.iter().map(|payment| payment.capture_pending.minor()).sum();
    Ok((owed(tx, id)? - pending).max(0))
}

/// Lets the money of an order be taken: first of its customer's store credit, or of a `card` that a guest was
/// given, so much at most in minor units, then of what was promised; what
/// is promised beyond that is let go once everything has left. Gives what the store credit pays.
///
/// # Errors
/// `not_found`; `stored_value_short` where the credit is spent already.
pub fn take_after_return(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    fresh: &Fresh,
    id: OrderId,
    (most, card, why): (i64, Option<StoredValueId>, &str),
) -> Result<i64> {
    let mut order = orders::lock(tx, id)?;
    let mut draw = fresh.draw();
    let (event, payment, value) = (draw.next(), draw.next(), draw.next());
    let pays = most.min(unpaid(tx, id)?).max(0);
    if pays > 0 {
        let (value, kind) = match (card, order.customer_id) {
            (Some(card), _) => (card, ValueKind::GiftCard),
            (None, Some(customer)) => {
                (stored_value::credit_for(tx, now, value, (order.currency, customer))?, ValueKind::StoreCredit)
            }
            (None, None) => return Err(Error::internal("store credit pays a guest's order")),
        };
        let part = Part { payment, value, kind, amount: pays };
        pay(tx, (now, actor), &order, &part)?;
        reread(tx, &mut order)?;
        orders::save(tx, now, &mut order, &[], 0)?;
    }
    match orders::holds::release_exchange(tx, now, actor, event, id, why) {
        // Somebody has released it before.
        Err(error) if error.code() == Code::StateConflict => {}
        released => order = released?,
    }
    money::settle_returns(tx, (now, now), &order, &mut draw, &Settling::because(why))?;
    Ok(pays)
}

/// Sets store credit aside for a payment of a locked order.
fn pay(tx: &mut Tx, by: (Instant, &Actor), order: &OrderDocument, part: &Part) -> Result<()> {
    let cart = order.cart_id.unwrap_or_else(|| CartId::from_bytes(*order.id.bytes()));
    let parts = std::slice::from_ref(part);
    let new = NewPayment {
        id: part.payment,
        cart,
        order: Some(order.id),
        provider: if part.kind == ValueKind::GiftCard { GIFT_CARD } else { STORE_CREDIT }.to_owned(),
        our_key: PaymentId::to_string(&part.payment),
        amount: Money::from_minor(part.amount, order.currency),
        state: PaymentState::Authorised,
        provider_ref: Some(part.value.to_string()),
        lease_until: None,
        idempotency_id: None,
        expires_at: None,
        due_at: None,
        details: PaymentDetails::default(),
    };
    payments::open(tx, by.0, &new)?;
    stored_value::hold(tx, by, cart, parts, by.0.plus_seconds(60))?;
    // The order is there: what is set aside is its own at once.
    stored_value::consume(tx, cart, parts)
}

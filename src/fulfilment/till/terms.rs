//! The terms of payments by hand: somebody is reminded, and an order that nobody pays is cancelled. Each step is taken once, under the lock
//! of the order: money that comes in at that moment comes before it, or behind.

use serde::Serialize;

use crate::{
    channels::{self, Prepayment, TermStep},
    db::{Lane, Tx},
    error::{Code, Error, Result},
    events::Payload,
    fulfilment::{
        Fresh,
        cancel::{self, Cancellation},
        money,
        service::announce,
    },
    http::State,
    jobs::Runner,
    kernel::{
        Actor, Instant, Money,
        ids::{OrderId, PaymentId},
    },
    orders::{self, OrderDocument, OrderState},
    payments::{
        self, renewals,
        requests::{self, PaymentRequestState},
    },
};

/// So many are looked at in one turn; the next comes soon.
const MOST: i64 = 100;
/// How often somebody looks.
const EVERY_SECONDS: i64 = 60;
/// What can not be cancelled now is looked at again after so many seconds.
const AGAIN_SECONDS: i64 = 86_400;
/// What is being paid is looked at again after so many seconds.
const PAYING_SECONDS: i64 = 3_600;
/// Why an order is cancelled.
const UNPAID: &str = "not paid in time";

/// The type of the event that the money of an order has not come.
pub(in crate::fulfilment) const REMINDER_DUE: &str = "payment.reminder_due.v1";

/// What it says.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::fulfilment) struct ReminderDue<'a> {
    /// The order.
    order_id: OrderId,
    /// Its number.
    order_number: &'a str,
    /// The payment that is waited for.
    payment_id: PaymentId,
    /// For the so manieth time.
    step: i64,
    /// What is still owed.
    owed: Money,
    /// When it was ordered.
    placed_at: Instant,
    /// When it is cancelled if nothing comes; absent where it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_at: Option<Instant>,
}

/// Registers what is done beside requests.
pub(in crate::fulfilment) fn register(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.every("payments.terms", EVERY_SECONDS, move |now| {
        let state = state.clone();
        async move { look(&state, now).await }
    });
}

async fn look(state: &State, now: Instant) -> Result<()> {
    for (payment, order) in state.db.read(move |tx| renewals::due(tx, now, true, MOST)).await? {
        let fresh = Fresh::new();
        let taken = state.db.write_in(Lane::Bulk, move |tx| take(tx, now, &fresh, (payment, order))).await;
        let failed = match taken {
            // It is held, or goods of it are on their way to leave: it is looked at again.
            Err(error) if error.code() == Code::StateConflict => {
                tracing::warn!(%order, %error, "an order that nobody has paid could not be cancelled");
                state.db.write_in(Lane::Bulk, move |tx| put_off(tx, now, (payment, order))).await
            }
            taken => taken,
        };
        // One that fails keeps none of the others waiting; its next turn tries it again.
        if let Err(error) = failed {
            tracing::warn!(%payment, %error, "the terms of a payment could not be looked at");
        }
    }
    Ok(())
}

fn put_off(tx: &mut Tx, now: Instant, (id, order): (PaymentId, OrderId)) -> Result<()> {
    orders::lock(tx, order)?;
    let Some(payment) = payments::get(tx, id)? else { return Ok(()) };
    let next = Some(now.plus_seconds(AGAIN_SECONDS));
    renewals::look_next(tx, now, &payment, next, payment.details.reminded).map(drop)
}

/// Takes the step that is due of a payment, if any still is.
fn take(tx: &mut Tx, now: Instant, fresh: &Fresh, (id, order): (PaymentId, OrderId)) -> Result<()> {
    let mut order = orders::lock(tx, order)?;
    let Some(payment) = payments::get(tx, id)?.filter(|payment| payment.due_at.is_some_and(|at| at <= now)) else {
        return Ok(());
    };
    let reminded = payment.details.reminded.unwrap_or_default();
    // What is promised otherwise by now is not waited for.
    let owed = money::uncovered(tx, now, &order)?;
    let terms = channels::settings(tx, order.channel_id)?.and_then(|settings| settings.prepayment);
    let step = terms.as_ref().and_then(|terms| terms.step(order.recorded_at, reminded));
    let waits = owed > 0 && order.state == OrderState::Placed;
    match (terms, step) {
        // The terms are others by now.
        (Some(_), Some((_, at))) if waits && at > now => {
            renewals::look_next(tx, now, &payment, Some(at), payment.details.reminded).map(drop)
        }
        (Some(terms), Some((TermStep::Remind(step), _))) if waits => {
            let next = terms.next_at(order.recorded_at, step);
            if !renewals::look_next(tx, now, &payment, next, Some(step))? {
                return Ok(());
            }
            remind(tx, now, fresh, &mut order, (id, step, owed, &terms))
        }
        // Whoever is paying it at this moment is let.
        (Some(_), Some((TermStep::Cancel, _))) if waits && is_being_paid(tx, order.id)? => {
            let next = Some(now.plus_seconds(PAYING_SECONDS));
            renewals::look_next(tx, now, &payment, next, payment.details.reminded).map(drop)
        }
        (Some(_), Some((TermStep::Cancel, _))) if waits && !has_left(&order) => {
            if !renewals::look_next(tx, now, &payment, None, payment.details.reminded)? {
                return Ok(());
            }
            let what = Cancellation { reason: UNPAID.to_owned(), ..Cancellation::default() };
            cancel::cancel(tx, now, &Actor::System("payments"), fresh, order.id, &what).map(drop)
        }
        _ => renewals::look_next(tx, now, &payment, None, payment.details.reminded).map(drop),
    }
}

/// Whether somebody is paying what was asked for of it by a link.
fn is_being_paid(tx: &mut Tx, order: OrderId) -> Result<bool> {
    Ok(requests::of_order(tx, order)?.iter().any(|one| one.state == PaymentRequestState::Paying))
}

/// What has left is owed, and not cancelled.
fn has_left(order: &OrderDocument) -> bool {
    order.lines.iter().any(|line| line.quantities.shipped > 0)
}

fn remind(
    tx: &mut Tx,
    now: Instant,
    fresh: &Fresh,
    order: &mut OrderDocument,
    (payment_id, step, owed, terms): (PaymentId, i64, i64, &Prepayment),
) -> Result<()> {
    orders::save(tx, now, order, &[], 1)?;
    let last = i64::try_from(terms.remind_after_days.len()).map_err(Error::internal)?;
    let data = ReminderDue {
        order_id: order.id,
        order_number: &order.number,
        payment_id,
        step,
        owed: Money::from_minor(owed, order.currency),
        placed_at: order.placed_at,
        cancelled_at: terms.next_at(order.recorded_at, last),
    };
    let happened = vec![(REMINDER_DUE, Payload::of(&data)?)];
    announce(tx, (now, now), &Actor::System("payments"), order, &mut fresh.draw(), happened)
}

//! What providers keep of the money that they take: told by them a while after a capture, or by their statements. It costs the merchant, and
//! changes nothing of what the customer owes.

use serde::{Deserialize, Serialize};

use crate::{
    db::{Lane, Tx},
    error::{Error, Result},
    http::State,
    jobs::{Job, NewJob, Runner, Verdict},
    kernel::{
        Actor, Instant,
        ids::{JobId, PaymentId},
    },
    orders,
    payments::{
        self, Operation, OperationKind, OperationState, Payment, ProviderError, Providers,
        fees::{self, PaymentFee},
    },
};

/// The kind of the job that asks a provider what it has kept.
const FEES: &str = "payment.fees";

/// Which payment.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Task {
    payment: PaymentId,
}

/// The job that asks what was kept of a payment of which money was just taken; none where nobody would tell.
pub(in crate::fulfilment) fn ask_later(now: Instant, id: JobId, payment: &Payment) -> Option<NewJob> {
    let task = serde_json::json!({"payment": payment.root.unwrap_or(payment.id)});
    fees::tells_fees(&payment.provider).then(|| NewJob { id, ..NewJob::now(FEES, now, task) })
}

/// Registers that job.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let (state, providers) = (state.clone(), payments::providers(state));
    runner.handle(FEES, move |job| {
        let (state, providers) = (state.clone(), providers.clone());
        async move { perform(&state, &providers, job).await }
    });
}

async fn perform(state: &State, providers: &Providers, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let Some((payment, captures)) = state.db.read(move |tx| taken(tx, task.payment)).await? else {
        return Ok(Verdict::Done);
    };
    let told = match payments::patiently(payments::PATIENCE, providers.of(&payment)?.fees(&payment, captures)).await {
        Ok(Some(told)) => told,
        Ok(None) => {
            // It has taken the money, and has not counted yet what of that it keeps.
            return Ok(Verdict::Retry { error: "the provider does not tell yet".to_owned(), after_seconds: None });
        }
        Err(ProviderError::Refused(error)) => return Ok(Verdict::Dead { error }),
        Err(error @ ProviderError::NoAnswer(_)) => return Err(Error::internal(error)),
    };
    let now = state.clock.now();
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        keep(tx, now, &Actor::System("payments"), task.payment, &told).map(|_| ())
    });
    written.await?;
    Ok(Verdict::Settled)
}

/// A payment as its provider knows it, and how many times money was taken of it and its shares.
fn taken(tx: &mut Tx, id: PaymentId) -> Result<Option<(Payment, usize)>> {
    let Some(payment) = payments::get(tx, id)? else { return Ok(None) };
    let family: Vec<PaymentId> = payments::shares::family(tx, &payment)?.iter().map(|one| one.id).collect();
    let is_capture = |one: &Operation| one.kind == OperationKind::Capture && one.state == OperationState::Done;
    let captures = payments::operations(tx, &family)?.iter().filter(|one| is_capture(one)).count();
    Ok(Some((payment, captures)))
}

/// Notes and books what was kept of a payment, each once: with the payment that its provider knows, of which it may be a share. Gives all that
/// is known of it then.
///
/// # Errors
/// `not_found`; `state_conflict` where no order came of the payment; `duplicate` where it was told with another amount.
pub(super) fn keep(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    id: PaymentId,
    told: &[PaymentFee],
) -> Result<Vec<PaymentFee>> {
    let missing = || Error::not_found("payment");
    let seen = payments::get(tx, id)?.ok_or_else(missing)?;
    if let Some(root) = seen.root {
        return keep(tx, now, actor, root, told);
    }
    match seen.order_id {
        Some(order) if actor.sees_channel(orders::lock(tx, order)?.channel_id) => {}
        None if actor.channels().is_none() => {}
        _ => return Err(missing()),
    }
    // Read under the lock of its order.
    let payment = payments::get(tx, id)?.ok_or_else(missing)?;
    fees::keep(tx, now, &payment, told)?;
    Ok(fees::of_payments(tx, &[id])?.into_iter().map(|(_, fee)| fee).collect())
}

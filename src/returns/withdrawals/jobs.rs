//! The job that carries withdrawals out, and who is told that money is due.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::{
    carrying::{self, CarryIds},
    model::{SOON, WithdrawalDocument, WithdrawalState},
    service,
};
use crate::{
    db::Lane,
    error::Result,
    fulfilment::Fresh,
    http::State,
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{
        Actor, Id, Instant,
        ids::{JobId, OrderId, WithdrawalId},
    },
    returns::api::ids,
};

/// A withdrawal that stands is carried out.
const CARRY_OUT: &str = "withdrawal.carry-out";
/// So often somebody looks which money is back.
const EVERY_SECONDS: i64 = 60;
/// So many are looked at at once.
const MOST: i64 = 200;
/// So often parts may leave while others are cancelled.
const TURNS: usize = 3;

#[derive(Debug, Clone, Copy, Deserialize)]
struct Task {
    order: OrderId,
    withdrawal: WithdrawalId,
}

/// The ordering key of what carries a withdrawal out. Its own: what stands in its way keeps no money of the order waiting.
pub(super) fn key(id: WithdrawalId) -> String {
    format!("withdrawal:{id}")
}

/// The job that carries a withdrawal out.
pub(super) fn carrying_out(id: JobId, now: Instant, one: &WithdrawalDocument) -> NewJob {
    let payload = json!({"order": one.order_id, "withdrawal": one.id});
    NewJob { id, ..NewJob::now(CARRY_OUT, now, payload) }.in_order(key(one.id))
}

/// Registers what is done beside requests.
pub(in crate::returns) fn work(state: &Arc<State>, runner: &mut Runner) {
    let own = state.clone();
    runner.handle(CARRY_OUT, move |job| {
        let state = own.clone();
        async move { carry_out(&state, job).await }
    });
    let own = state.clone();
    runner.every("returns.withdrawals-due", 600, move |now| {
        let state = own.clone();
        async move { remind(&state, now).await }
    });
    let own = state.clone();
    runner.every("returns.withdrawals-settled", EVERY_SECONDS, move |now| {
        let state = own.clone();
        async move { settle(&state, now).await }
    });
}

/// What has left comes back, what has not is cancelled: each in a transaction of its own, so that what stands in the way of one does not
/// keep the other. What fails is tried again, and is a dead job in the end.
async fn carry_out(state: &State, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let about = (task.order, task.withdrawal);
    for _ in 0..TURNS {
        let now = state.clock.now();
        let number = format!("RMA{}", state.db.next_number("return_requests").await?);
        let shipping = (Id::new(), format!("R{}", state.db.next_number("returns").await?));
        let made = CarryIds { request: Id::new(), number, shipping, events: ids(64), booking: Fresh::new() };
        let first = made.clone();
        state.db.write_in(Lane::Bulk, move |tx| carrying::take_back(tx, now, &first, about)).await?;
        let second = CarryIds { events: ids(2), ..made };
        if state.db.write_in(Lane::Bulk, move |tx| carrying::cancel_rest(tx, now, &second, about)).await? {
            return Ok(Verdict::Done);
        }
    }
    Ok(Verdict::Retry { error: "parts of it leave at this moment".to_owned(), after_seconds: Some(30) })
}

/// Begins anew what nobody does any more, though its money is soon due: a withdrawal stands, whoever has given its job up. One whose job is
/// dead waits for whoever replays it, or has it carried out again.
async fn again(state: &State, now: Instant, one: &WithdrawalDocument) {
    let (job, own) = (JobId::new(), one.clone());
    let begun = state.db.write_in(Lane::Bulk, move |tx| {
        let queued = jobs::of_keys(tx, now, &[key(own.id)])?;
        if queued.is_empty() { jobs::enqueue(tx, now, vec![carrying_out(job, now, &own)]) } else { Ok(()) }
    });
    if let Err(error) = begun.await {
        tracing::warn!(withdrawal = %one.id, %error, "that it is carried out could not be begun anew");
    }
}

/// Notes of which withdrawals the money is back: what a provider answers comes after the return was settled.
async fn settle(state: &State, now: Instant) -> Result<()> {
    let mut after = None;
    loop {
        let found = state.db.read(move |tx| carrying::unsettled(tx, after, MOST)).await?;
        let last = found.last().map(|(one, _)| (one.due, one.id));
        for (one, _) in found.into_iter().filter(|(_, is_back)| *is_back) {
            let (id, order) = (one.id, one.order);
            let noted = state.db.write_in(Lane::Bulk, move |tx| carrying::note_settled(tx, now, (order, id))).await;
            // One that fails keeps none of the others waiting; its next turn tries it again.
            if let Err(error) = noted {
                tracing::warn!(withdrawal = %id, %error, "that its money is back could not be written down");
            }
        }
        match last {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

async fn remind(state: &State, now: Instant) -> Result<()> {
    let mut after = None;
    loop {
        let before = now.plus_seconds(SOON);
        let found =
            state.db.read(move |tx| service::due(tx, &Actor::System("withdrawals"), before, after, MOST)).await?;
        let last = found.last().and_then(|one| Some((one.refund_due_at?, one.id)));
        for one in found {
            let (event, id) = (Id::new(), one.id);
            if one.state == WithdrawalState::Confirmed {
                again(state, now, &one).await;
            }
            let stage = if one.refund_due_at.is_some_and(|due| due <= now) { 2 } else { 1 };
            if one.told >= stage {
                continue;
            }
            let told = state.db.write_in(Lane::Bulk, move |tx| service::remind(tx, now, event, id)).await;
            // One that fails keeps none of the others waiting; its next turn tries it again.
            if let Err(error) = told {
                tracing::warn!(withdrawal = %id, %error, "that its money is due could not be told");
            }
        }
        match last {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

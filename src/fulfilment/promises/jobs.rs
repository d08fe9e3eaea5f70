//! What is to come has changed: whoever waits for it is looked at again, each order in a transaction of its own.

use serde::{Deserialize, Serialize};

use super::{
    service::{self, Knowing},
    store,
};
use crate::{
    channels::Directory,
    db::{Lane, Tx},
    error::Result,
    fulfilment::Fresh,
    http::State,
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{
        Id, Instant,
        ids::{JobId, OrderId},
    },
    pricing::Rules,
    stock::{
        Locations,
        outlook::{CHANGED, ChangedLevels},
    },
};

/// The kind of the job that looks at one order again.
const REVIEW: &str = "promises.review";
/// So many orders are looked for at once.
const MOST: i64 = 500;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Task {
    order: OrderId,
}

/// Has an order looked at again, after those of its looks that were asked for before.
pub(super) fn review_later(tx: &mut Tx, now: Instant, orders: &[OrderId]) -> Result<()> {
    let job = |order: &OrderId| {
        let task = serde_json::to_value(Task { order: *order })?;
        Ok(NewJob::now(REVIEW, now, task).in_order(format!("promise:{order}")))
    };
    jobs::enqueue(tx, now, orders.iter().map(job).collect::<Result<_>>()?)
}

/// Registers what is done beside requests.
pub fn register(state: &State, runner: &mut Runner) {
    let (found, looked) = (state.clone(), state.clone());
    runner.handle(CHANGED, move |job| {
        let state = found.clone();
        async move { find(&state, job).await }
    });
    runner.handle(REVIEW, move |job| {
        let state = looked.clone();
        async move { look(&state, job).await }
    });
}

/// Finds the orders that wait at levels to which something else is to come.
async fn find(state: &State, job: Job) -> Result<Verdict> {
    let task: ChangedLevels = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let now = state.clock.now();
    state
        .db
        .write_in(Lane::Bulk, move |tx| {
            job.finish(tx)?;
            let waiting = store::waiting_at(tx, &task.levels, task.after, MOST)?;
            let last = waiting.last().copied().filter(|_| i64::try_from(waiting.len()) == Ok(MOST));
            if last.is_some() {
                let rest = serde_json::to_value(ChangedLevels { after: last, ..task.clone() })?;
                let id: JobId = Id::new();
                jobs::enqueue(tx, now, vec![NewJob { id, ..NewJob::now(CHANGED, now, rest) }])?;
            }
            review_later(tx, now, &waiting)
        })
        .await?;
    Ok(Verdict::Settled)
}

async fn look(state: &State, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let locations = state.db.snapshot::<Locations>().await?;
    let (directory, rules) = (state.db.snapshot::<Directory>().await?, state.db.snapshot::<Rules>().await?);
    let now = state.clock.now();
    state
        .db
        .write_in(Lane::Bulk, move |tx| {
            job.finish(tx)?;
            let knowing = Knowing { now, locations: &locations, directory: &directory, rules: &rules };
            service::review(tx, knowing, &mut Fresh::of(job.id).draw(), task.order)
        })
        .await?;
    Ok(Verdict::Settled)
}

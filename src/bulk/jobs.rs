//! The job that takes one order after another. Each is taken in a transaction of its own, so whoever goes on after a crash takes those that
//! are left, and none twice.

use std::sync::Arc;

use serde::Deserialize;

use super::{
    model::{Bulk, ItemState},
    second,
    service::{self, Ids},
    store,
};
use crate::{
    db::Lane,
    error::{Error, Result},
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::ids::{BulkJobId, OrderId},
    stock::Locations,
};

/// The kind of the job.
pub(super) const BULK: &str = "bulk.run";
/// So many orders are taken before others have a turn.
const BITE: i64 = 100;

#[derive(Debug, Clone, Copy, Deserialize)]
struct Task {
    bulk: BulkJobId,
}

/// Registers what is done beside requests.
pub fn work(state: &State, runner: &mut Runner) {
    second::register(state, runner);
    let state = state.clone();
    runner.handle(BULK, move |job| {
        let state = state.clone();
        async move { run(&state, job).await }
    });
}

async fn run(state: &State, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let Some(bulk) = state.db.read(move |tx| store::get(tx, task.bulk)).await? else { return Ok(Verdict::Done) };
    let (bulk, mut after, mut failed) = (Arc::new(bulk), None, None);
    let ended = loop {
        let waiting = state.db.read(move |tx| store::waiting(tx, task.bulk, after, BITE)).await?;
        let Some(last) = waiting.last().copied() else { break after.is_none() };
        after = Some(last);
        for order in waiting {
            // One that fails keeps none of those behind it waiting.
            if let Err(error) = take(state, &bulk, order).await {
                failed = Some(format!("order {order}: {error}"));
            }
        }
        if failed.is_none() {
            break false;
        }
    };
    if let Some(error) = failed {
        return Ok(Verdict::Retry { error, after_seconds: None });
    }
    let (now, id) = (state.clock.now(), bulk.id);
    let settle = state.db.write_in(Lane::Bulk, move |tx| {
        if ended {
            store::end(tx, now, id)?;
            job.finish(tx)
        } else {
            job.postpone(tx, now, now)
        }
    });
    settle.await?;
    Ok(Verdict::Settled)
}

/// Takes one order; why it refuses is written down. What fails for other reasons than the order's own still waits: it is tried again.
async fn take(state: &State, bulk: &Arc<Bulk>, order: OrderId) -> Result<()> {
    let locations = state.db.snapshot::<Locations>().await?;
    let (now, ids, own) = (state.clock.now(), Ids::new(), bulk.clone());
    let done = state.db.write_in(Lane::Bulk, move |tx| service::do_one(tx, now, &locations, &ids, (&own, order))).await;
    match done {
        Ok(_) => Ok(()),
        Err(Error::Problem(problem)) if problem.code.status() < 500 => {
            let id = bulk.id;
            let refused = state.db.write_in(Lane::Bulk, move |tx| {
                let why = (problem.code.as_str(), problem.detail.as_str());
                store::take(tx, (id, order), ItemState::Refused, Some(why))
            });
            refused.await.map(|_| ())
        }
        Err(error) => Err(error),
    }
}

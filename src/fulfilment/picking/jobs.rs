//! What was not found is planned anew: a job for each fulfilment order, for each locks its order and moves levels of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::Put;
use crate::{
    db::{Lane, Tx},
    error::{Error, Result},
    fulfilment::{Fresh, Pieces, Replan, moves, replans, service::start, shortages},
    http::State,
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{
        Instant, Quantity,
        ids::{FulfilmentOrderId, JobId, LocationId},
    },
    stock::Locations,
};

/// The kind of the jobs.
pub const KIND: &str = "waves.replan";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    work: FulfilmentOrderId,
    pieces: Vec<Pieces>,
    location: LocationId,
    reason: String,
    /// Whether the books say so too: then what is set apart waits for goods, and goes on with them. Else it is remembered that nobody has
    /// found it there.
    #[serde(default)]
    adjusted: bool,
    /// When they were not found; absent in what an older version has written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Instant>,
}

/// Writes the jobs that plan pieces anew that were not found at a location.
pub(super) fn plan_anew(
    tx: &mut Tx,
    now: Instant,
    ids: &[JobId],
    (location, reason, adjusted): (LocationId, &str, bool),
    missing: &[Put],
) -> Result<()> {
    let mut by_work: BTreeMap<FulfilmentOrderId, Vec<Pieces>> = BTreeMap::new();
    for put in missing {
        let quantity = Quantity::try_from(put.quantity).map_err(Error::internal)?;
        by_work.entry(put.fulfilment_order_id).or_default().push(Pieces { line_no: put.line_no, quantity });
    }
    let job = |((work, pieces), id): ((FulfilmentOrderId, Vec<Pieces>), &JobId)| {
        let task = Task { work, pieces, location, reason: reason.to_owned(), adjusted, at: Some(now) };
        let job = NewJob::now(KIND, now, serde_json::to_value(task)?);
        Ok(replans::in_turn(work, NewJob { id: *id, ..job }))
    };
    let jobs: Result<Vec<NewJob>> = by_work.into_iter().zip(ids).map(job).collect();
    jobs::enqueue(tx, now, jobs?)
}

/// Registers what is done beside requests.
pub(in crate::fulfilment) fn register(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(KIND, move |job| {
        let state = state.clone();
        async move { perform(&state, job).await }
    });
}

async fn perform(state: &State, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let locations = state.db.snapshot::<Locations>().await?;
    let actor = shortages::ACTOR;
    let now = state.clock.now();
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        let fresh = Fresh::of(job.id);
        let what = Replan {
            pieces: Some(task.pieces.clone()),
            exclude: if task.adjusted { vec![task.location] } else { Vec::new() },
            missed: (!task.adjusted).then_some(task.at.unwrap_or(now)),
            reason: Some(task.reason.clone()),
            at_most: true,
            review: true,
            ..Replan::default()
        };
        // Read under the order's lock.
        let (_, work) = start(tx, &actor, task.work)?;
        let again = || replans::in_turn(task.work, NewJob::now(KIND, now, job.payload.clone()));
        if replans::is_asked(tx, now, &work, again)? {
            return Ok(());
        }
        super::store::planned_anew(tx, task.work, &task.pieces)?;
        moves::replan(tx, now, &actor, &fresh, task.work, (&what, &locations)).map(|_| ())
    });
    replans::verdict(written.await)
}

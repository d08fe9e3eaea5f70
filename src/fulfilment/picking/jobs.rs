//! What was not found is planned anew: a job for each fulfilment order, for each locks its order and moves levels of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::Put;
use crate::{
    db::{Lane, Tx},
    error::{Code, Error, Result},
    fulfilment::{Fresh, Pieces, Replan, moves, service::start},
    http::State,
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{
        Actor, Instant, Quantity,
        ids::{FulfilmentOrderId, JobId, LocationId},
    },
    stock::Locations,
};

/// The kind of the jobs.
const KIND: &str = "waves.replan";
/// After how many seconds it is looked again whether a request to cancel was answered.
const ASKED: i64 = 300;

/// What is planned of one fulfilment order is planned one after the other.
fn key(work: FulfilmentOrderId) -> String {
    format!("replan:{work}")
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    work: FulfilmentOrderId,
    pieces: Vec<Pieces>,
    location: LocationId,
    reason: String,
}

/// Writes the jobs that plan pieces anew that were not found at a location.
pub(super) fn plan_anew(
    tx: &mut Tx,
    now: Instant,
    ids: &[JobId],
    (location, reason): (LocationId, &str),
    missing: &[Put],
) -> Result<()> {
    let mut by_work: BTreeMap<FulfilmentOrderId, Vec<Pieces>> = BTreeMap::new();
    for put in missing {
        let quantity = Quantity::try_from(put.quantity).map_err(Error::internal)?;
        by_work.entry(put.fulfilment_order_id).or_default().push(Pieces { line_no: put.line_no, quantity });
    }
    let job = |((work, pieces), id): ((FulfilmentOrderId, Vec<Pieces>), &JobId)| {
        let task = Task { work, pieces, location, reason: reason.to_owned() };
        let job = NewJob::now(KIND, now, serde_json::to_value(task)?);
        Ok(NewJob { id: *id, ..job }.in_order(key(work)))
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
    let (now, actor) = (state.clock.now(), Actor::System("waves"));
    let later = NewJob::now(KIND, now, job.payload.clone()).in_order(key(task.work));
    let later = NewJob { run_at: now.plus_seconds(ASKED), ..later };
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        let fresh = Fresh::of(job.id);
        let what = Replan {
            pieces: Some(task.pieces.clone()),
            exclude: vec![task.location],
            reason: Some(task.reason.clone()),
            at_most: true,
            ..Replan::default()
        };
        // Read under the order's lock. Somebody wants it cancelled: what is left when that is answered is planned then.
        let (_, work) = start(tx, &actor, task.work)?;
        if work.state.is_open() && work.cancel_request.is_some() {
            return jobs::enqueue(tx, now, vec![later.clone()]);
        }
        moves::replan(tx, now, &actor, &fresh, task.work, (&what, &locations)).map(|_| ())
    });
    match written.await {
        // They were picked, cancelled or moved meanwhile: there is nothing left to plan.
        Err(Error::Problem(problem))
            if matches!(problem.code, Code::QuantityExceeded | Code::StateConflict | Code::NotFound) =>
        {
            tracing::info!(why = problem.detail, "pieces that were not found need not be planned anew");
            Ok(Verdict::Done)
        }
        Err(error) => Err(error),
        Ok(()) => Ok(Verdict::Settled),
    }
}

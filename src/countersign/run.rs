//! Doing what was approved: the job of each kind, around what the slice does whose command it is.

use serde::Deserialize;

use super::{model::CountersignRequest, service};
use crate::{
    db::{Lane, Tx},
    error::{Error, Result},
    http::State,
    jobs::{Job, Verdict},
    kernel::{
        Instant,
        ids::{CountersignRequestId, EventId},
    },
};

/// What such a job knows.
#[derive(Deserialize)]
struct Task {
    request: CountersignRequestId,
}

/// The approved request that a job stands for; `None` where nothing is to be done any more.
///
/// # Errors
/// What the database says.
pub async fn of_job(state: &State, job: &Job) -> Result<Option<CountersignRequest>> {
    let Task { request } = serde_json::from_value(job.payload.clone())?;
    state.db.read(move |tx| service::approved(tx, request)).await
}

/// Does it, in the transaction that says so: however often the job runs, once. Why it refuses is written down.
///
/// # Errors
/// What fails for other reasons than that it is refused: the job is tried again.
pub async fn run<F>(state: &State, job: Job, request: CountersignRequest, work: F) -> Result<Verdict>
where
    F: Fn(&mut Tx, Instant, &CountersignRequest) -> Result<()> + Send + Sync + 'static,
{
    let (now, event, id) = (state.clock.now(), EventId::new(), request.id);
    let (doing, asked) = (job.clone(), request.clone());
    let done = state.db.write_in(Lane::Bulk, move |tx| {
        doing.finish(tx)?;
        // First, so that of two only one goes on.
        if service::end(tx, now, (&asked, event), None)? { work(tx, now, &asked) } else { Ok(()) }
    });
    match done.await {
        Ok(()) => Ok(Verdict::Settled),
        Err(Error::Problem(problem)) if problem.code.status() < 500 => {
            tracing::info!(request = %id, code = problem.code.as_str(), "what was approved is refused");
            let written = state.db.write_in(Lane::Bulk, move |tx| {
                job.finish(tx)?;
                let why = (problem.code.as_str(), problem.detail.as_str());
                service::end(tx, now, (&request, event), Some(why)).map(|_| ())
            });
            written.await?;
            Ok(Verdict::Settled)
        }
        Err(error) => Err(error),
    }
}

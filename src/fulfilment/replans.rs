//! What the jobs have in common that plan a fulfilment order anew.

use super::model::FulfilmentOrder;
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    jobs::{self, NewJob, Verdict},
    kernel::{Instant, ids::FulfilmentOrderId},
};

/// After how many seconds it is looked again whether a request to cancel was answered.
const ASKED: i64 = 300;

/// A job that plans a fulfilment order anew: what is planned of one is planned one after the other.
pub(super) fn in_turn(work: FulfilmentOrderId, job: NewJob) -> NewJob {
    job.in_order(format!("replan:{work}"))
}

/// Whether somebody wants a fulfilment order cancelled, of an order that is locked. Then `again` is written to be done later: what is left
/// when that is answered is planned then.
///
/// # Errors
/// What the database says.
pub(super) fn is_asked(
    tx: &mut Tx,
    now: Instant,
    work: &FulfilmentOrder,
    again: impl FnOnce() -> NewJob,
) -> Result<bool> {
    if !work.state.is_open() || work.cancel_request.is_none() {
        return Ok(false);
    }
    jobs::enqueue(tx, now, vec![NewJob { run_at: now.plus_seconds(ASKED), ..again() }])?;
    Ok(true)
}

/// What has become of such a job.
///
/// # Errors
/// What was not expected: it is tried again.
pub(super) fn verdict(written: Result<()>) -> Result<Verdict> {
    match written {
        // It was picked, cancelled or moved meanwhile: there is nothing left to plan.
        Err(Error::Problem(problem))
            if matches!(problem.code, Code::QuantityExceeded | Code::StateConflict | Code::NotFound) =>
        {
            tracing::info!(why = problem.detail, "what was to be planned anew need not be");
            Ok(Verdict::Done)
        }
        Err(error) => Err(error),
        Ok(()) => Ok(Verdict::Settled),
    }
}

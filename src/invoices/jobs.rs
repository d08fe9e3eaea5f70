//! The job that sees to it that what has happened to an order is invoiced.

use std::sync::Arc;

use serde::Deserialize;

use super::{
    retention,
    service::{self, Ids},
};
use crate::{
    channels::Directory,
    db::Lane,
    error::Result,
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::ids::OrderId,
    orders::INVOICE,
};

#[derive(Debug, Clone, Copy, Deserialize)]
struct Task {
    order: OrderId,
}

/// Registers what is done beside requests.
pub fn work(state: &State, runner: &mut Runner) {
    retention::work(state, runner);
    let state = state.clone();
    runner.handle(INVOICE, move |job| {
        let state = state.clone();
        async move { follow(&state, job).await }
    });
}

/// Issues one document after another, each in a transaction of its own, so that no counter is held while another is waited for; the last
/// look, which finds nothing more to issue, ends the job. A job that is repeated finds what was issued.
async fn follow(state: &State, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let directory = state.db.snapshot::<Directory>().await?;
    let job = Arc::new(job);
    loop {
        let (now, ids) = (state.clock.now(), Ids::new());
        let (directory, job) = (directory.clone(), job.clone());
        let issued = state.db.write_in(Lane::Bulk, move |tx| {
            let issued = service::issue_next(tx, now, &directory, ids, task.order)?;
            if issued.is_none() {
                job.finish(tx)?;
            }
            Ok(issued.is_some())
        });
        if !issued.await? {
            return Ok(Verdict::Settled);
        }
    }
}

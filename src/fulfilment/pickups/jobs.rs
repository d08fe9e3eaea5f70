//! What goes another way is planned anew: a job for each fulfilment order, for each locks its order and moves levels of its own.

use serde::{Deserialize, Serialize};

use crate::{
    channels::Directory,
    db::{Lane, Tx},
    error::Result,
    fulfilment::{
        dropship,
        ids::Fresh,
        model::{Command, FulfilmentOrder},
        moves::{Replan, replan_locked},
        replans,
        service::start,
    },
    http::State,
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{Actor, Instant, ids::FulfilmentOrderId},
    stock::Locations,
};

/// The kind of the jobs.
pub const REPLAN: &str = "fulfilment.replan_redirected";
/// Who plans anew.
const ACTOR: Actor = Actor::System("pickups");

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    work: FulfilmentOrderId,
    reason: String,
}

/// Writes the jobs.
pub(super) fn plan_anew(tx: &mut Tx, now: Instant, works: &[FulfilmentOrder], reason: &str) -> Result<()> {
    let job = |work: &FulfilmentOrder| {
        let task = serde_json::to_value(Task { work: work.id, reason: reason.to_owned() })?;
        Ok(replans::in_turn(work.id, NewJob::now(REPLAN, now, task)))
    };
    jobs::enqueue(tx, now, works.iter().map(job).collect::<Result<_>>()?)
}

/// Registers what is done beside requests.
pub(in crate::fulfilment) fn register(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(REPLAN, move |job| {
        let state = state.clone();
        async move { perform(&state, job).await }
    });
}

async fn perform(state: &State, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let (locations, directory) = (state.db.snapshot::<Locations>().await?, state.db.snapshot::<Directory>().await?);
    let now = state.clock.now();
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        let (mut order, mut work) = start(tx, &ACTOR, task.work)?;
        let again = || replans::in_turn(task.work, NewJob::now(REPLAN, now, job.payload.clone()));
        if replans::is_asked(tx, now, &work, again)? {
            return Ok(());
        }
        let is_shipped = order.delivery(work.delivery_key()).is_none_or(|delivery| delivery.pickup.is_none());
        // A supplier who has said meanwhile that they ship it has read where to; what is picked up elsewhere they can not hand over.
        if is_shipped && !dropship::acknowledged(tx, &[work.id])?.is_empty() {
            return Ok(());
        }
        let what = Replan {
            reason: Some(task.reason.clone()),
            later: directory.get(order.channel_id)?.settings.due_hours.is_none(),
            review: true,
            ..Replan::default()
        };
        let (fresh, both) = (Fresh::of(job.id), (&mut order, &mut work));
        replan_locked(tx, now, (&ACTOR, Command::Move), &mut fresh.draw(), both, (&what, &locations)).map(|_| ())
    });
    replans::verdict(written.await)
}

//! Dead letters for operators: seen, replayed, given up.

use actix_web::{get, post, web};
use serde::Deserialize;

use super::{
    list::{self, QueuedJob, Standing},
    queue::{self, Job},
};
use crate::{
    db::Tx,
    error::{Error, Result},
    http::{All, Call, List, Mount, NoBody, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{Actor, Instant, Scope, ids::JobId},
};

/// What deciding about a dead job of a kind means beyond the job.
pub type OnDecision = fn(&mut Tx, Instant, &Actor, &Job) -> Result<()>;

/// What giving one up means, by the jobs' kinds, as the slices tell it.
#[derive(Clone, Copy)]
pub struct Discards(pub &'static [(&'static str, OnDecision)]);

/// What replaying one means, by the jobs' kinds, as the slices tell it.
#[derive(Clone, Copy)]
pub struct Replays(pub &'static [(&'static str, OnDecision)]);

impl Discards {
    /// What giving up a job of a kind means.
    #[must_use]
    pub fn meaning(self, kind: &str) -> Option<OnDecision> {
        of_kind(self.0, kind)
    }
}

impl Replays {
    /// What replaying a job of a kind means.
    #[must_use]
    pub fn meaning(self, kind: &str) -> Option<OnDecision> {
        of_kind(self.0, kind)
    }
}

/// What a decision about a job of a kind means.
fn of_kind(table: &[(&'static str, OnDecision)], kind: &str) -> Option<OnDecision> {
    table.iter().find(|(known, _)| *known == kind).map(|(_, meant)| *meant)
}

/// A job belongs to no channel and no location: who is limited to some has no business with it.
fn allow_change(call: &Call) -> Result<&Actor> {
    let actor = call.allow(Scope::ConnectorsWrite)?;
    if actor.is_limited() { Err(Error::not_found("job")) } else { Ok(actor) }
}

/// Which jobs are listed.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobQuery {
    /// Only those that stand so.
    pub state: Option<Standing>,
    /// Only those of this kind.
    #[param(example = "connector.dispatch")]
    pub kind: Option<String>,
}

/// List the jobs of the queue
///
/// Everything that is still to be done, the oldest first: what is due or waits behind an earlier job of its key (`ready`), what is
/// planned (`later`), what has failed and waits for another try (`retrying`), what a worker has in hand (`leased`), and what is
/// `dead`. What is done is not there any more.
#[utoipa::path(tag = "mend a connector", params(JobQuery), security(("token" = ["connectors:read"])),
    responses((status = 200, body = Page<QueuedJob>)))]
#[get("/jobs")]
async fn list_jobs(call: Call, query: List<JobQuery>) -> Result<Reply> {
    let (is_limited, now) = (call.allow(Scope::ConnectorsRead)?.is_limited(), call.now);
    let JobQuery { state, kind } = query.filter.clone();
    let read = move |tx: &mut Tx, after, limit| match is_limited {
        true => Ok(Vec::new()),
        false => list::page(tx, now, (state, kind.as_deref()), after, limit),
    };
    query.answer(&call, |job: &QueuedJob| job.seq, read).await
}

/// List the dead jobs
///
/// Jobs that failed for good, oldest first, with what went wrong.
#[utoipa::path(tag = "mend a connector", security(("token" = ["connectors:read"])),
    responses((status = 200, body = Page<Job>)))]
#[get("/jobs/dead")]
async fn list_dead_jobs(call: Call, query: List<All>) -> Result<Reply> {
    let is_limited = call.allow(Scope::ConnectorsRead)?.is_limited();
    let read = move |tx: &mut Tx, after, limit| if is_limited { Ok(Vec::new()) } else { queue::dead(tx, after, limit) };
    query.answer(&call, |job: &Job| job.id, read).await
}

/// Replay a dead job
///
/// It gets new tries from now on. Jobs that waited behind it go on after it. A dispatch is on its way again with its job.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(JobId), Path)),
    security(("token" = ["connectors:write"])),
    responses((status = 204)))]
#[post("/jobs/{id}/replay")]
async fn replay_job(call: Call, path: RefPath<JobId>, _: NoBody) -> Result<Reply> {
    let actor = allow_change(&call)?.clone();
    let replays = call.request().app_data::<web::Data<Replays>>().map_or(Replays(&[]), |all| ***all);
    let (id, now) = (path.0, call.now);
    call.command(&Fingerprint::none(), move |tx| {
        let job = queue::replay(tx, now, id)?;
        if let Some(on_replay) = of_kind(replays.0, &job.kind) {
            on_replay(tx, now, &actor, &job)?;
        }
        Ok(Reply::no_content())
    })
    .await
}

/// Give a dead job up
///
/// Jobs that waited behind it go on. What it was to do counts as failed then: a capture or refund that nobody asks the
/// provider for any more is in the work list `failed_payments`, a dispatch is skipped. Where a provider has not answered,
/// replay asks it with the same key; discard only what it has not done.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(JobId), Path)),
    security(("token" = ["connectors:write"])),
    responses((status = 204)))]
#[post("/jobs/{id}/discard")]
async fn discard_job(call: Call, path: RefPath<JobId>, _: NoBody) -> Result<Reply> {
    let actor = allow_change(&call)?.clone();
    let discards = call.request().app_data::<web::Data<Discards>>().map_or(Discards(&[]), |all| ***all);
    let (id, now) = (path.0, call.now);
    call.command(&Fingerprint::none(), move |tx| {
        let job = queue::discard(tx, id)?;
        if let Some(on_discard) = of_kind(discards.0, &job.kind) {
            on_discard(tx, now, &actor, &job)?;
        }
        Ok(Reply::no_content())
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_jobs).service(list_dead_jobs).service(replay_job).service(discard_job);
}

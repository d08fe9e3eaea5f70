//! Dead letters for operators: seen, replayed, given up.

use actix_web::{get, post};
use utoipa_actix_web::service_config::ServiceConfig;

use super::queue::{self, Job};
use crate::{
    error::{Error, Result},
    http::{Call, Cursor, ListQuery, Page, Params, RefPath, Reply, idempotency::Fingerprint},
    kernel::{Scope, ids::JobId},
};

/// A job belongs to no channel and no location: who is limited to some has no business with it.
fn allow_change(call: &Call) -> Result<()> {
    match call.allow(Scope::ConnectorsWrite)?.is_limited() {
        true => Err(Error::not_found("job")),
        false => Ok(()),
    }
}

/// List the dead jobs
///
/// Jobs that failed for good, oldest first, with what went wrong.
#[utoipa::path(tag = "mend a connector", params(ListQuery), security(("token" = ["connectors:read"])),
    responses((status = 200, body = Page<Job>)))]
#[get("/jobs/dead")]
async fn list_dead_jobs(call: Call, query: Params<ListQuery>) -> Result<Reply> {
    let is_limited = call.allow(Scope::ConnectorsRead)?.is_limited();
    let limit = query.0.limit()?;
    let after: Option<JobId> = Cursor::decode_optional(query.0.cursor.as_deref())?;
    let items = match is_limited {
        true => Vec::new(),
        false => call.read(move |tx| queue::dead(tx, after, limit + 1)).await?,
    };
    Reply::page(&call, &Page::cut(items, limit, |job| job.id)?)
}

/// Replay a dead job
///
/// It gets new tries from now on. Jobs that waited behind it go on after it.
#[utoipa::path(tag = "mend a connector", params(("id" = String, Path)), security(("token" = ["connectors:write"])),
    responses((status = 204)))]
#[post("/jobs/{id}/replay")]
async fn replay_job(call: Call, path: RefPath<JobId>) -> Result<Reply> {
    allow_change(&call)?;
    let (id, now) = (path.0, call.now);
    call.command(&Fingerprint::none(), move |tx| {
        queue::replay(tx, now, id)?;
        Ok(Reply::no_content())
    })
    .await
}

/// Give a dead job up
///
/// Jobs that waited behind it go on.
#[utoipa::path(tag = "mend a connector", params(("id" = String, Path)), security(("token" = ["connectors:write"])),
    responses((status = 204)))]
#[post("/jobs/{id}/discard")]
async fn discard_job(call: Call, path: RefPath<JobId>) -> Result<Reply> {
    allow_change(&call)?;
    let id = path.0;
    call.command(&Fingerprint::none(), move |tx| {
        queue::discard(tx, id)?;
        Ok(Reply::no_content())
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut ServiceConfig<'_>) {
    config.service(list_dead_jobs).service(replay_job).service(discard_job);
}

//! Routes of work lists.

use actix_web::{get, post};
use serde::Deserialize;

use super::{
    model::{Claim, WorkItem, WorkList, WorkListSummary},
    service,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    http::{All, Body, Call, List, Mount, Page, RefPath, Reply},
    kernel::{
        Instant, Scope,
        text::{Note, Text},
    },
};

/// See what waits for a person
///
/// Every list with its count, its oldest item and a link to its items.
#[utoipa::path(tag = "watch the shop", security(("token" = ["worklists:write"])),
    responses((status = 200, body = Page<WorkListSummary>)))]
#[get("/worklists")]
async fn list_worklists(call: Call, query: List<All>) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::WorklistsWrite)?.clone(), call.now);
    let items = call.read(move |tx| service::summaries(tx, &actor, now)).await?;
    query.answer_from(&call, items, |summary| WorkList::ALL.iter().position(|list| *list == summary.list))
}

/// Which items.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ItemsQuery {
    /// Whether those that sleep are shown too.
    pub snoozed: Option<bool>,
}

/// See the items of a work list
///
/// Oldest first.
#[utoipa::path(tag = "watch the shop", params(("list" = WorkList, Path), ItemsQuery), security(("token" = ["worklists:write"])),
    responses((status = 200, body = Page<WorkItem>)))]
#[get("/worklists/{list}")]
async fn list_work_items(call: Call, path: RefPath<WorkList>, query: List<ItemsQuery>) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::WorklistsWrite)?.clone(), call.now);
    let (snoozed, list) = (query.filter.snoozed.unwrap_or(false), path.0);
    let read = move |tx: &mut Tx, after: Option<(i64, String)>, limit| {
        let after = after.map(|(at, id)| (Instant::from_micros(at), id));
        service::items(tx, &actor, now, (list, snoozed), after, limit)
    };
    query.answer(&call, |item: &WorkItem| (item.since.micros(), item.id.clone()), read).await
}

/// Who looks after an item from now on.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "asking the bank"}))]
pub struct ClaimRequest {
    /// Who; the caller, unless told.
    #[schema(value_type = Option<String>)]
    pub assignee: Option<Text<100>>,
    /// Until when it is not to be shown, at most 90 days ahead.
    pub snooze_until: Option<Instant>,
    /// What to remember.
    #[schema(value_type = Option<String>)]
    pub note: Option<Note<1000>>,
    /// Whether to take it from somebody else who looks after it.
    #[serde(default)]
    pub force: bool,
}

/// Claim an item
///
/// For oneself or for somebody else, and put it aside for a while where it has to wait.
#[utoipa::path(tag = "watch the shop", params(("list" = WorkList, Path), ("id" = String, Path)), request_body = ClaimRequest,
    security(("token" = ["worklists:write"])), responses((status = 200, body = WorkItem)))]
#[post("/worklists/{list}/items/{id}/claim")]
async fn claim_item(call: Call, path: RefPath<(WorkList, String)>, body: Body<ClaimRequest>) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::WorklistsWrite)?.clone(), call.now);
    if body.snooze_until.is_some_and(|until| until <= now || until > now.plus_seconds(90 * 86_400)) {
        return Err(Error::invalid("/snooze_until", "expected a time within the next 90 days"));
    }
    let assignee = body.assignee.as_ref().map_or_else(|| service::name(&actor), ToString::to_string);
    let note = body.note.as_ref().map(ToString::to_string);
    let claim = Claim { assignee: Some(assignee), snoozed_until: body.snooze_until, note };
    let ((list, id), force) = (path.0, body.force);
    call.command(&body.fingerprint, move |tx| Reply::ok(&service::claim(tx, &actor, now, (list, &id), &claim, force)?))
        .await
}

/// Letting go of an item.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct ReleaseRequest {
    /// Whether to take it from somebody else who looks after it.
    #[serde(default)]
    pub force: bool,
}

/// Let go of an item
///
/// Nobody looks after it then, and it does not sleep any more.
#[utoipa::path(tag = "watch the shop", params(("list" = WorkList, Path), ("id" = String, Path)), request_body = ReleaseRequest,
    security(("token" = ["worklists:write"])), responses((status = 200, body = WorkItem)))]
#[post("/worklists/{list}/items/{id}/release")]
async fn release_item(call: Call, path: RefPath<(WorkList, String)>, body: Body<ReleaseRequest>) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::WorklistsWrite)?.clone(), call.now);
    let ((list, id), force) = (path.0, body.force);
    call.command(&body.fingerprint, move |tx| Reply::ok(&service::release(tx, &actor, now, (list, &id), force)?)).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_worklists).service(list_work_items).service(claim_item).service(release_item);
}

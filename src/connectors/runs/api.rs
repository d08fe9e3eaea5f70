//! Routes of resyncs and reconciliations.

use actix_web::{get, post};
use serde::Deserialize;

use super::{
    model::{ItemState, ResyncMode, Run, RunItem, RunKind},
    service::{self, Fresh, Stretch},
};
use crate::{
    db::Tx,
    error::Result,
    http::{All, Body, Call, List, Mount, Page, RefPath, Reply},
    kernel::{
        Id, Instant, Scope,
        ids::{ConnectorId, ConnectorRunId},
        text::Note,
    },
};

/// What is to be synchronised again.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": "2026-03-01T22:00:00Z", "to": "2026-03-02T06:00:00Z", "mode": "missing"}))]
pub struct Resync {
    /// From then on: the orders of which something happened then or later …
    pub from: Instant,
    /// … and before this; absent: until now.
    pub to: Option<Instant>,
    /// What is done.
    pub mode: ResyncMode,
}

/// Resynchronise a far end that has lost something
///
/// Distrusts what was marked delivered: looks for every order of which something happened between `from` and `to`, and tells of each what
/// came of it. `verify` changes nothing; `missing` links again what is there, and sends again what is not; `force` sends everything again
/// without looking, and the far end keeps each once by its own key. An order is sent again in its place: behind what of it is on its way,
/// and before what is still to come. One at a time for each connector (`resync_running`); a far end that can not be searched takes `force`
/// only (`far_end_not_searchable`). It goes on where it stood after a crash and while the connector is paused.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path)), request_body = Resync,
    security(("token" = ["connectors:write"])), responses((status = 202, body = Run)))]
#[post("/connectors/{id}/resync")]
async fn begin_resync(call: Call, path: RefPath<ConnectorId>, body: Body<Resync>) -> Result<Reply> {
    let (actor, id, now) = (call.allow(Scope::ConnectorsWrite)?.clone(), path.0, call.now);
    let fresh = Fresh { run: Id::new(), job: Id::new() };
    let Resync { from, to, mode } = body.value;
    call.command(&body.fingerprint, move |tx| {
        let run = service::resync(tx, &actor, now, id, (Stretch { from, to }, mode), fresh)?;
        let location = format!("/v1/ops/connectors/{id}/resyncs/{}", run.id);
        Ok(Reply::accepted(&run)?.location(location))
    })
    .await
}

/// Compare both sides
///
/// Looks for every order of which something happened between `from` and `to`, and compares what both sides have: whether it is there, what it
/// costs, whether it is cancelled; and lists what is there with a key of ours and unknown here. Nothing is changed. Each difference comes with
/// what would mend it. What differs waits in the work list `reconciliation_differences` until somebody closes the report, or a later one
/// has looked at the same stretch.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path)), request_body = Stretch,
    security(("token" = ["connectors:write"])), responses((status = 202, body = Run)))]
#[post("/connectors/{id}/reconcile")]
async fn begin_reconciliation(call: Call, path: RefPath<ConnectorId>, body: Body<Stretch>) -> Result<Reply> {
    let (actor, id, now, stretch) = (call.allow(Scope::ConnectorsWrite)?.clone(), path.0, call.now, body.value);
    let fresh = Fresh { run: Id::new(), job: Id::new() };
    call.command(&body.fingerprint, move |tx| {
        let run = service::reconcile(tx, &actor, now, id, stretch, fresh)?;
        let location = format!("/v1/ops/connectors/{id}/reconciliations/{}", run.id);
        Ok(Reply::accepted(&run)?.location(location))
    })
    .await
}

async fn list(call: Call, id: ConnectorId, query: List<All>, kind: RunKind) -> Result<Reply> {
    let actor = call.allow(Scope::ConnectorsRead)?.clone();
    let read = move |tx: &mut Tx, before, limit| service::page(tx, &actor, (id, kind), before, limit);
    query.answer(&call, |run: &Run| run.id, read).await
}

async fn read(call: Call, (id, run): (ConnectorId, ConnectorRunId), kind: RunKind) -> Result<Reply> {
    let actor = call.allow(Scope::ConnectorsRead)?.clone();
    let found = call.read(move |tx| {
        let run = service::visible(tx, &actor, (id, kind, run))?;
        service::view(tx, run)
    });
    Reply::ok(&found.await?)
}

/// Which orders of a run are listed.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ItemQuery {
    /// Only those in this state.
    pub state: Option<ItemState>,
}

async fn items(
    call: Call,
    (id, run): (ConnectorId, ConnectorRunId),
    query: List<ItemQuery>,
    kind: RunKind,
) -> Result<Reply> {
    let (actor, state) = (call.allow(Scope::ConnectorsRead)?.clone(), query.filter.state);
    let read = move |tx: &mut Tx, after, limit| service::items(tx, &actor, (id, kind, run), state, (after, limit));
    query.answer(&call, |item: &RunItem| item.order_id.clone(), read).await
}

/// List a connector's resyncs
///
/// The newest first, each with how far it is and how many orders are in which state.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path)),
    security(("token" = ["connectors:read"])), responses((status = 200, body = Page<Run>)))]
#[get("/connectors/{id}/resyncs")]
async fn list_resyncs(call: Call, path: RefPath<ConnectorId>, query: List<All>) -> Result<Reply> {
    list(call, path.0, query, RunKind::Resync).await
}

/// Read a resync
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path), ("run" = inline(ConnectorRunId), Path)),
    security(("token" = ["connectors:read"])), responses((status = 200, body = Run)))]
#[get("/connectors/{id}/resyncs/{run}")]
async fn read_resync(call: Call, path: RefPath<(ConnectorId, ConnectorRunId)>) -> Result<Reply> {
    read(call, path.0, RunKind::Resync).await
}

/// List the orders of a resync
///
/// Each with what came of it, and why.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path), ("run" = inline(ConnectorRunId), Path), ItemQuery),
    security(("token" = ["connectors:read"])), responses((status = 200, body = Page<RunItem>)))]
#[get("/connectors/{id}/resyncs/{run}/items")]
async fn list_resync_items(
    call: Call,
    path: RefPath<(ConnectorId, ConnectorRunId)>,
    query: List<ItemQuery>,
) -> Result<Reply> {
    items(call, path.0, query, RunKind::Resync).await
}

/// List a connector's reconciliations
///
/// The newest first, each with how many differences it has found.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path)),
    security(("token" = ["connectors:read"])), responses((status = 200, body = Page<Run>)))]
#[get("/connectors/{id}/reconciliations")]
async fn list_reconciliations(call: Call, path: RefPath<ConnectorId>, query: List<All>) -> Result<Reply> {
    list(call, path.0, query, RunKind::Reconciliation).await
}

/// Read a reconciliation
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path), ("run" = inline(ConnectorRunId), Path)),
    security(("token" = ["connectors:read"])), responses((status = 200, body = Run)))]
#[get("/connectors/{id}/reconciliations/{run}")]
async fn read_reconciliation(call: Call, path: RefPath<(ConnectorId, ConnectorRunId)>) -> Result<Reply> {
    read(call, path.0, RunKind::Reconciliation).await
}

/// List the orders of a reconciliation
///
/// With `state` those that differ in a way: `missing_there`, `total_differs`, `state_differs`, `unknown_there`; each with what would mend it.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path), ("run" = inline(ConnectorRunId), Path), ItemQuery),
    security(("token" = ["connectors:read"])), responses((status = 200, body = Page<RunItem>)))]
#[get("/connectors/{id}/reconciliations/{run}/items")]
async fn list_reconciliation_items(
    call: Call,
    path: RefPath<(ConnectorId, ConnectorRunId)>,
    query: List<ItemQuery>,
) -> Result<Reply> {
    items(call, path.0, query, RunKind::Reconciliation).await
}

/// Why differences need nobody any more.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "corrected in the ERP"}))]
pub struct Closing {
    /// It is kept with the report.
    pub reason: Note<500>,
}

/// Close a reconciliation
///
/// Its differences have been looked at: it leaves the work list.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path), ("run" = inline(ConnectorRunId), Path)),
    request_body = Closing, security(("token" = ["connectors:write"])), responses((status = 200, body = Run)))]
#[post("/connectors/{id}/reconciliations/{run}/close")]
async fn close_reconciliation(
    call: Call,
    path: RefPath<(ConnectorId, ConnectorRunId)>,
    body: Body<Closing>,
) -> Result<Reply> {
    let (actor, (id, run), now) = (call.allow(Scope::ConnectorsWrite)?.clone(), path.0, call.now);
    let reason = body.value.reason.clone();
    call.command(&body.fingerprint, move |tx| {
        Reply::ok(&service::close(tx, &actor, now, (id, RunKind::Reconciliation, run), &reason)?)
    })
    .await
}

/// The routes of the ops surface.
pub(in crate::connectors) fn ops(config: &mut Mount<'_>) {
    config.service(begin_resync).service(list_resyncs).service(read_resync).service(list_resync_items);
    config.service(begin_reconciliation).service(list_reconciliations).service(read_reconciliation);
    config.service(list_reconciliation_items).service(close_reconciliation);
}

//! Routes of adapters, connectors and dispatches.

use actix_web::{delete, get, patch, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    attempts::{self, Attempt},
    delivery, mend_api,
    model::{Connector, ConnectorPatch, Dispatch, DispatchState, Kept, NewConnector, no_renewal},
    network::Network,
    ports::{Adapter, Ending, is_of_customers},
    registry, runs,
    service::{self, Mark},
};
use crate::{
    channels::Directory,
    db::Tx,
    error::Result,
    events::Event,
    http::{All, Body, Call, IfMatch, List, Mount, NoBody, Page, RefPath, Reply, idempotency::Fingerprint, paging},
    kernel::{
        Action, Id, Scope,
        ids::{ConnectorId, DispatchId, JobId},
        text::Note,
    },
};

/// What an adapter can do, and what it needs to know.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AdapterView {
    /// Its name, as connectors name it.
    #[schema(example = "webhook")]
    pub name: &'static str,
    /// What it connects to.
    pub title: &'static str,
    /// What an operator needs to know.
    pub description: &'static str,
    /// What it can do.
    pub capabilities: Capabilities,
    /// The JSON schema of its settings.
    #[schema(value_type = Object)]
    pub settings_schema: Value,
    /// The JSON schema of its secrets.
    #[schema(value_type = Object)]
    pub secrets_schema: Value,
}

/// What an adapter can do.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Capabilities {
    /// It takes events of orders, stock and carts.
    pub order_sink: bool,
    /// It takes events of customers; connectors of an adapter without it are not given any.
    pub customer_sink: bool,
    /// It reads what changes at the far end.
    pub change_source: bool,
    /// It can ask the far end what it has of orders: for resyncs that look, and reconciliations.
    pub order_search: bool,
    /// Its secrets can be renewed without a gap.
    pub renew_secrets: bool,
}

impl From<&Adapter> for AdapterView {
    fn from(adapter: &Adapter) -> Self {
        Self {
            name: adapter.name,
            title: adapter.title,
            description: adapter.description,
            capabilities: Capabilities {
                order_sink: adapter.order_sink.is_some(),
                customer_sink: adapter.customer_sink.is_some(),
                change_source: adapter.change_source.is_some(),
                order_search: adapter.order_search.is_some(),
                renew_secrets: adapter.renew_secrets.is_some(),
            },
            settings_schema: (adapter.settings_schema)(),
            secrets_schema: (adapter.secrets_schema)(),
        }
    }
}

/// List the adapters
///
/// The kinds of systems that connectors can be made for, with the schemas of their settings.
#[utoipa::path(tag = "mend a connector", security(("token" = ["connectors:read"])),
    responses((status = 200, body = Page<AdapterView>)))]
#[get("/adapters")]
async fn list_adapters(call: Call, query: List<All>) -> Result<Reply> {
    call.allow(Scope::ConnectorsRead)?;
    let items: Vec<AdapterView> = registry::ADAPTERS.iter().map(|adapter| AdapterView::from(*adapter)).collect();
    let place = |item: &AdapterView| registry::ADAPTERS.iter().position(|adapter| adapter.name == item.name);
    query.answer_from(&call, items, place)
}

/// Make a connector
///
/// It gets the events that happen from now on; earlier ones by a replay. Its secrets are shown in this answer only. One that gets
/// what happens to customers, as one without `types` and `channels` does, needs the scope `customers:read` too.
#[utoipa::path(tag = "mend a connector", request_body = NewConnector, security(("token" = ["connectors:write"])),
    responses((status = 201, body = Connector)))]
#[post("/connectors")]
async fn create_connector(call: Call, body: Body<NewConnector>) -> Result<Reply> {
    let actor = call.allow(Scope::ConnectorsWrite)?.clone();
    let (new, now) = (body.value.clone(), call.now);
    let secrets = (registry::find(&new.adapter)?.complete_secrets)(new.secrets.as_ref())?;
    let fresh = service::Fresh { id: Id::new(), sealed: call.state.secret.seal(&secrets.to_string())? };
    let (directory, allow_private) = (call.snapshot::<Directory>().await?, call.state.settings.webhooks.allow_private);
    call.command(&body.fingerprint, move |tx| {
        let mut made = service::create(tx, &actor, now, &fresh, &new, &directory, allow_private)?;
        made.secrets = Some(secrets.clone());
        let location = format!("/v1/ops/connectors/{}", made.id);
        Ok(Reply::created(&made)?.version(made.version).location(location).secret())
    })
    .await
}

/// List the connectors
///
/// Each with how much waits for it.
#[utoipa::path(tag = "mend a connector", security(("token" = ["connectors:read"])),
    responses((status = 200, body = Page<Connector>)))]
#[get("/connectors")]
async fn list_connectors(call: Call, query: List<All>) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::ConnectorsRead)?.clone(), call.now);
    let read = move |tx: &mut Tx, after, limit| {
        let seen = |kept: &Kept| kept.setup.is_visible_to(&actor);
        let theirs = paging::fill(tx, limit, after, |kept: &Kept| kept.id, seen, service::list)?;
        service::views(tx, now, theirs)
    };
    query.answer(&call, |connector: &Connector| connector.id, read).await
}

/// Read a connector
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path)),
    security(("token" = ["connectors:read"])),
    responses((status = 200, body = Connector)))]
#[get("/connectors/{id}")]
async fn read_connector(call: Call, path: RefPath<ConnectorId>) -> Result<Reply> {
    let (actor, id, now) = (call.allow(Scope::ConnectorsRead)?.clone(), path.0, call.now);
    let found = call.read(move |tx| {
        let kept = service::visible(tx, &actor, id)?;
        service::view(tx, now, kept)
    });
    let found = found.await?;
    Ok(Reply::ok(&found)?.version(found.version))
}

/// Change a connector
///
/// Send the `ETag` you have seen as `If-Match`. `{"state": "paused"}` halts it, `{"state": "active"}` lets it go on where it
/// stood and tries at once what waits for it. `secrets` replaces all of them, such as a password that was changed at the far end; those
/// that are made here (of webhooks) are renewed by their own route, or given whole. To change what a connector gets, or where that goes, needs the scope
/// `customers:read` too where events of customers are among it.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path), IfMatch), request_body = ConnectorPatch,
    security(("token" = ["connectors:write"])), responses((status = 200, body = Connector)))]
#[patch("/connectors/{id}")]
async fn update_connector(call: Call, path: RefPath<ConnectorId>, body: Body<ConnectorPatch>) -> Result<Reply> {
    let actor = call.allow(Scope::ConnectorsWrite)?.clone();
    let (id, now, expected, patch) = (path.0, call.now, call.if_match()?, body.value.clone());
    let sealed = match &patch.secrets {
        None => None,
        Some(given) => {
            let theirs = actor.clone();
            let kept = call.read(move |tx| service::visible(tx, &theirs, id)).await?;
            let secrets = (registry::find(&kept.adapter)?.complete_secrets)(Some(given))?;
            Some(call.state.secret.seal(&secrets.to_string())?)
        }
    };
    let (directory, allow_private) = (call.snapshot::<Directory>().await?, call.state.settings.webhooks.allow_private);
    call.command(&body.fingerprint, move |tx| {
        let with = (&patch, sealed.as_deref());
        let changed = service::update(tx, &actor, now, id, expected, with, &directory, allow_private)?;
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// Remove a connector
///
/// What waits for it and its log of dispatches go with it.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path), IfMatch),
    security(("token" = ["connectors:write"])),
    responses((status = 204)))]
#[delete("/connectors/{id}")]
async fn delete_connector(call: Call, path: RefPath<ConnectorId>) -> Result<Reply> {
    let (actor, id, expected) = (call.allow(Scope::ConnectorsWrite)?.clone(), path.0, call.if_match()?);
    call.command(&Fingerprint::none(), move |tx| {
        service::delete(tx, &actor, id, expected)?;
        Ok(Reply::no_content())
    })
    .await
}

/// Renew a connector's secrets
///
/// The new ones are shown in this answer only; the former signing secret signs along for a day, so that the receiver can
/// be switched over without a gap.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path)),
    security(("token" = ["connectors:write"])),
    responses((status = 200, body = Connector)))]
#[post("/connectors/{id}/renew-secrets")]
async fn renew_secrets(call: Call, path: RefPath<ConnectorId>, _: NoBody) -> Result<Reply> {
    let (actor, id, now) = (call.allow(Scope::ConnectorsWrite)?.clone(), path.0, call.now);
    let kept = call.read(move |tx| service::visible(tx, &actor, id)).await?;
    let adapter = registry::find(&kept.adapter)?;
    let renew = adapter.renew_secrets.ok_or_else(no_renewal)?;
    let secrets = renew(now, &delivery::unseal(&call.state, &kept)?)?;
    let sealed = call.state.secret.seal(&secrets.to_string())?;
    call.command(&Fingerprint::none(), move |tx| {
        // The version that was read guards: of two who renew at once, one is told to look again.
        let mut changed = service::reseal(tx, now, kept.clone(), sealed.clone())?;
        changed.secrets = Some(secrets.clone());
        Ok(Reply::ok(&changed)?.version(changed.version).secret())
    })
    .await
}

/// What came of a test.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TestResult {
    /// Whether the receiver accepted the ping.
    pub ok: bool,
    /// Its status, when it answered.
    pub status: Option<i64>,
    /// How long it took.
    pub duration_ms: i64,
    /// What went wrong and what to look at.
    pub error: Option<String>,
    /// The beginning of its answer.
    pub response: Option<String>,
}

/// Test a connector
///
/// Sends a `kontor.ping.v1` event at once and tells what came of it. Works for a paused connector too.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path)),
    security(("token" = ["connectors:write"])),
    responses((status = 200, body = TestResult)))]
#[post("/connectors/{id}/test")]
async fn test_connector(call: Call, path: RefPath<ConnectorId>, _: NoBody) -> Result<Reply> {
    let (actor, id) = (call.allow(Scope::ConnectorsWrite)?.clone(), path.0);
    let kept = call.read(move |tx| service::visible(tx, &actor, id)).await?;
    let event = Event {
        position: 0,
        id: Id::new(),
        stream: id.to_string(),
        aggregate: "connector".into(),
        aggregate_id: id.to_string(),
        aggregate_version: kept.version,
        channel_id: None,
        kind: "kontor.ping.v1".into(),
        occurred_at: call.now,
        recorded_at: call.now,
        actor: call.actor.label(),
        data: json!({"connector_id": id, "name": kept.name}),
    };
    let network = Network::new(&call.state)?;
    let line = delivery::Line::to(&call.state, &kept, None)?;
    let outcome = (line.adapter.test)(line.target(&kept, &network, call.now), &event).await;
    let outcome = line.masked(outcome);
    let (ok, status) = (outcome.ending == Ending::Delivered, outcome.status);
    let (duration_ms, error, response) = (outcome.duration_ms, outcome.error, outcome.response);
    Reply::ok(&TestResult { ok, status, duration_ms, error, response })
}

/// Which dispatches are listed.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DispatchQuery {
    /// Only those in this state.
    pub state: Option<DispatchState>,
}

/// List a connector's dispatches
///
/// Newest first: what was sent, how often it was tried, what the receiver answered.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path), DispatchQuery),
    security(("token" = ["connectors:read"])),
    responses((status = 200, body = Page<Dispatch>)))]
#[get("/connectors/{id}/dispatches")]
async fn list_dispatches(call: Call, path: RefPath<ConnectorId>, query: List<DispatchQuery>) -> Result<Reply> {
    let (actor, id, state) = (call.allow(Scope::ConnectorsRead)?.clone(), path.0, query.filter.state);
    let read = move |tx: &mut Tx, before, limit| service::dispatches(tx, &actor, id, state, before, limit);
    query.answer(&call, |dispatch: &Dispatch| dispatch.position, read).await
}

/// A dispatch with its event.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DispatchDetail {
    /// The dispatch.
    #[serde(flatten)]
    pub dispatch: Dispatch,
    /// The event as the log has it now: without what an erasure has removed, absent when it has been dropped.
    pub event: Option<Event>,
    /// The tries that did not succeed, the last first.
    pub failures: Vec<Attempt>,
    /// What can be done with it now, or why not: `replay`, `skip`.
    pub actions: Vec<Action>,
}

/// Read a dispatch
///
/// With the event it brings, as the log has it now; without one that tells of a customer, for those who may not read customers.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path),
    ("dispatch_id" = inline(DispatchId), Path)),
    security(("token" = ["connectors:read"])), responses((status = 200, body = DispatchDetail)))]
#[get("/connectors/{id}/dispatches/{dispatch_id}")]
async fn read_dispatch(call: Call, path: RefPath<(ConnectorId, DispatchId)>) -> Result<Reply> {
    let (actor, (id, dispatch)) = (call.allow(Scope::ConnectorsRead)?.clone(), path.0);
    let found = call.read(move |tx| {
        let (_, dispatch) = service::dispatch(tx, &actor, id, dispatch)?;
        // Who a customer is, those are told who may read customers.
        let told = actor.holds(Scope::CustomersRead) || !is_of_customers(&dispatch.kind);
        let event = match told {
            true => crate::events::by_positions(tx, &[dispatch.position])?.into_iter().next(),
            false => None,
        };
        let (actions, failures) = (dispatch.state.actions(), attempts::of(tx, dispatch.id)?);
        Ok(DispatchDetail { dispatch, event, failures, actions })
    });
    Reply::ok(&found.await?)
}

/// Replay a dispatch
///
/// A dead one gets new tries in its place, before the later events of its stream; any other is sent again behind them.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path),
    ("dispatch_id" = inline(DispatchId), Path)),
    security(("token" = ["connectors:write"])), responses((status = 200, body = Dispatch)))]
#[post("/connectors/{id}/dispatches/{dispatch_id}/replay")]
async fn replay_dispatch(call: Call, path: RefPath<(ConnectorId, DispatchId)>, _: NoBody) -> Result<Reply> {
    let (actor, of, now, fresh) = (call.allow(Scope::ConnectorsWrite)?.clone(), path.0, call.now, JobId::new());
    call.command(&Fingerprint::none(), move |tx| Reply::ok(&service::replay_dispatch(tx, &actor, now, of, fresh)?))
        .await
}

/// Why something is decided.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "entered by hand in the ERP"}))]
pub struct Reason {
    /// It is kept with the dispatch.
    pub reason: Note<500>,
}

/// Skip a dispatch
///
/// It will not be sent; the later events of its stream go on.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path),
    ("dispatch_id" = inline(DispatchId), Path)), request_body = Reason,
    security(("token" = ["connectors:write"])), responses((status = 200, body = Dispatch)))]
#[post("/connectors/{id}/dispatches/{dispatch_id}/skip")]
async fn skip_dispatch(call: Call, path: RefPath<(ConnectorId, DispatchId)>, body: Body<Reason>) -> Result<Reply> {
    let (actor, of, now) = (call.allow(Scope::ConnectorsWrite)?.clone(), path.0, call.now);
    let reason = body.value.reason.clone();
    call.command(&body.fingerprint, move |tx| Reply::ok(&service::skip_dispatch(tx, &actor, now, of, &reason)?)).await
}

/// Which stretch of the log is sent again.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": "2026-03-01T00:00:00Z"}))]
pub struct Stretch {
    /// The first: a position, or a time of recording. Not beyond the connector's own `position`.
    pub from: Mark,
    /// The last: a position (included), or a time (not included). Absent, or beyond the connector's own `position`: that.
    pub to: Option<Mark>,
}

/// The stretch that is being sent again.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Replaying {
    /// The first position.
    pub from: i64,
    /// The last position: no further than the connector had been given the log.
    pub to: i64,
    /// The job that does it.
    pub job_id: JobId,
}

/// Replay a stretch of the log
///
/// Sends every event between two positions or times that the connector wants, again or for the first time, each stream in
/// order; what the log goes on with is sent after it, so that there is one stretch at a time: another is refused with 409 until
/// it is on its way. What is on its way is left alone; dead letters get new tries. Both keep their places: where the connector
/// gets more than it did, earlier events of a stream that are sent for the first time come behind those. What lies beyond the
/// connector's own `position`, because it is paused or behind, is sent anyway once it goes on, and is no part of the stretch:
/// `to` in the answer tells how far that reaches.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path)), request_body = Stretch,
    security(("token" = ["connectors:write"])), responses((status = 202, body = Replaying)))]
#[post("/connectors/{id}/replay")]
async fn replay_stretch(call: Call, path: RefPath<ConnectorId>, body: Body<Stretch>) -> Result<Reply> {
    let (actor, id, now, job_id) = (call.allow(Scope::ConnectorsWrite)?.clone(), path.0, call.now, JobId::new());
    let marks = (body.value.from, body.value.to);
    call.command(&body.fingerprint, move |tx| {
        let (from, to) = service::replay_stretch(tx, &actor, now, id, marks, job_id)?;
        Reply::accepted(&Replaying { from, to, job_id })
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_adapters).service(create_connector).service(list_connectors).service(read_connector);
    config.service(update_connector).service(delete_connector).service(renew_secrets).service(test_connector);
    config.service(list_dispatches).service(read_dispatch).service(replay_dispatch).service(skip_dispatch);
    config.service(replay_stretch);
    mend_api::ops(config);
    runs::api::ops(config);
}

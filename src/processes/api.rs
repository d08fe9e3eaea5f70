//! Routes of processes.

use actix_web::{get, post, web};
use serde::Deserialize;

use super::{
    model::{Process, StepKind, StuckStep, Verb},
    service::{self, Deciding, Means},
};
use crate::{
    db::Tx,
    error::{Error, Result},
    fulfilment::Fresh,
    http::{Body, Call, List, Mount, Page, RefPath, Reply},
    jobs::{Discards, Replays},
    kernel::{
        Instant, Scope,
        ids::ProcessDecisionId,
        text::{Note, Text},
    },
    orders,
    stock::Locations,
};

/// Which steps.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StuckQuery {
    /// Of one kind only.
    #[param(inline)]
    pub step: Option<StepKind>,
}

/// See what is stuck
///
/// The steps of orders' processes that do not go on by themselves, or should have been done by now: what is held, overdue, waits for
/// goods or for an answer, and jobs that have failed for good. The oldest first; of the oldest thousand of each sort.
#[utoipa::path(tag = "watch the shop", params(StuckQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<StuckStep>)))]
#[get("/processes")]
async fn list_stuck_steps(call: Call, query: List<StuckQuery>) -> Result<Reply> {
    let (actor, now, step) = (call.allow(Scope::OrdersRead)?.clone(), call.now, query.filter.step);
    let locations = call.snapshot::<Locations>().await?;
    let read = move |tx: &mut Tx, after: Option<(i64, String)>, limit| {
        let after = after.map(|(at, id)| (Instant::from_micros(at), id));
        service::stuck(tx, now, &actor, (step, &locations), after, limit)
    };
    let key = |one: &StuckStep| {
        let (since, id) = service::key(one);
        (since.micros(), id)
    };
    query.answer(&call, key, read).await
}

/// Read an order's process
///
/// Its steps: what is done, what each of the others waits for since when, how often it was tried and when it is tried next; and what
/// was decided about them.
#[utoipa::path(tag = "watch the shop", params(("ref" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = Process)))]
#[get("/processes/{ref}")]
async fn read_process(call: Call, path: RefPath<String>) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::OrdersRead)?.clone(), call.now);
    let locations = call.snapshot::<Locations>().await?;
    let found = call.read(move |tx| {
        let id = orders::find(tx, &actor, &path.0)?;
        service::process(tx, now, &actor, (id, &locations))
    });
    Reply::ok(&found.await?)
}

/// Which step, and why.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"step": "place", "reason": "the customer has gone"}))]
pub struct DecisionRequest {
    /// Which step.
    pub step: StepKind,
    /// What it is a step of, as the process tells it; absent where it is the order's.
    #[schema(value_type = Option<String>)]
    pub subject: Option<Text<100>>,
    /// Why; it has to be said unless the step is only tried again.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
}

async fn decide(call: Call, reference: String, verb: Verb, body: Body<DecisionRequest>) -> Result<Reply> {
    let needed = if verb == Verb::Retry { Scope::FulfilmentWrite } else { Scope::FulfilmentSupervise };
    let actor = call.allow(needed)?.clone();
    if verb != Verb::Retry && body.reason.is_none() {
        return Err(Error::invalid("/reason", "expected why"));
    }
    let locations = call.snapshot::<Locations>().await?;
    let replays = call.request().app_data::<web::Data<Replays>>().map_or(Replays(&[]), |all| ***all);
    let discards = call.request().app_data::<web::Data<Discards>>().map_or(Discards(&[]), |all| ***all);
    let subject = body.subject.as_ref().map(ToString::to_string);
    let what = Deciding { step: body.step, subject, verb, reason: body.reason.as_ref().map(ToString::to_string) };
    let (now, fresh, then, id) = (call.now, Fresh::new(), Fresh::new(), ProcessDecisionId::new());
    call.command(&body.fingerprint, move |tx| {
        let order = orders::resolve(tx, &actor, &reference)?;
        let means = Means { locations: &locations, replays, discards, fresh: &fresh, then: &then, id };
        Reply::ok(&service::decide(tx, now, &actor, order, &what, &means)?)
    })
    .await
}

/// Try a step again
///
/// Now: what has failed for good begins anew, what waits for goods is planned anew. A step that is a job needs `connectors:write` too,
/// of a credential that is limited to no channel and no location.
#[utoipa::path(tag = "watch the shop", params(("ref" = String, Path)), request_body = DecisionRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = Process)))]
#[post("/processes/{ref}/retry")]
async fn retry_step(call: Call, path: RefPath<String>, body: Body<DecisionRequest>) -> Result<Reply> {
    decide(call, path.0, Verb::Retry, body).await
}

/// Do without a step
///
/// What holds it is released (what was held for `sourcing` is planned anew), what was to be accepted counts as accepted, a job that
/// has failed is given up (which needs `connectors:write` too). It is noted, with the reason.
#[utoipa::path(tag = "watch the shop", params(("ref" = String, Path)), request_body = DecisionRequest,
    security(("token" = ["fulfilment:supervise"])), responses((status = 200, body = Process)))]
#[post("/processes/{ref}/skip")]
async fn skip_step(call: Call, path: RefPath<String>, body: Body<DecisionRequest>) -> Result<Reply> {
    decide(call, path.0, Verb::Skip, body).await
}

/// Take a step back
///
/// An order that was placed is cancelled as far as it has not left; a pick, a pack, a parcel or its arrival is taken back as one that
/// was booked wrongly. It is noted, with the reason.
#[utoipa::path(tag = "watch the shop", params(("ref" = String, Path)), request_body = DecisionRequest,
    security(("token" = ["fulfilment:supervise"])), responses((status = 200, body = Process)))]
#[post("/processes/{ref}/compensate")]
async fn compensate_step(call: Call, path: RefPath<String>, body: Body<DecisionRequest>) -> Result<Reply> {
    decide(call, path.0, Verb::Compensate, body).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_stuck_steps).service(read_process);
    config.service(retry_step).service(skip_step).service(compensate_step);
}

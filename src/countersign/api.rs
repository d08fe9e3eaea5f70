//! Routes of requests for a second person.

use actix_web::{get, post};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    model::{Ceilinged, CountersignNote, CountersignRequest, CountersignState},
    service::{self, Filter, Said},
};
use crate::{
    db::Tx,
    error::Result,
    http::{Body, Call, List, Mount, Page, RefPath, Reply},
    kernel::{
        Id, Scope,
        ids::{CountersignRequestId, OrderId},
    },
};

/// What a list of requests is narrowed by.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CountersignQuery {
    /// Those of a kind.
    #[param(inline)]
    kind: Option<Ceilinged>,
    /// Those that stand there.
    #[param(inline)]
    state: Option<CountersignState>,
    /// Those about an order.
    #[param(value_type = Option<String>)]
    order_id: Option<OrderId>,
}

/// List what a second person has to approve
///
/// Refunds, agreed prices and work on many orders above what the channel lets one decide (`second_person` of its settings); the newest first.
#[utoipa::path(tag = "answer a customer", params(CountersignQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<CountersignRequest>)))]
#[get("/countersign-requests")]
async fn list_countersign_requests(call: Call, query: List<CountersignQuery>) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::OrdersRead)?, call.now);
    let CountersignQuery { kind, state, order_id } = query.filter.clone();
    let channels = actor.channels().map(<[_]>::to_vec);
    let filter = Filter { kind, state, order: order_id, channels, own: actor.label() };
    let read = move |tx: &mut Tx, before, limit| {
        let found = service::page(tx, (now, &filter), before, limit)?;
        Ok(found.into_iter().map(|request| request.at(now)).collect())
    };
    query.answer(&call, |request: &CountersignRequest| request.id, read).await
}

/// Read what a second person has to approve
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CountersignRequestId), Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = CountersignRequest)))]
#[get("/countersign-requests/{id}")]
async fn read_countersign_request(call: Call, path: RefPath<CountersignRequestId>) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::OrdersRead)?.clone(), call.now);
    let found = call.read(move |tx| Ok(service::visible(tx, &actor, path.0)?.at(now))).await?;
    Ok(Reply::ok(&found)?.version(found.version))
}

async fn decide(call: Call, id: CountersignRequestId, body: Body<CountersignNote>, said: Said) -> Result<Reply> {
    let (actor, now, ids) = (call.allow(Scope::OrdersWrite)?.clone(), call.now, (id, Id::new(), Id::new()));
    let note = body.note.as_ref().map(ToString::to_string);
    call.command(&body.fingerprint, move |tx| {
        let request = service::decide(tx, (now, &actor), ids, (said, note.as_deref()))?;
        Ok(Reply::ok(&request)?.version(request.version))
    })
    .await
}

/// Approve what somebody else has asked for
///
/// Never one's own. It is done at once, in the background, on the state that was asked for: read it again to see what came of it. Needs the
/// scope of the command itself too (`payments:write`, `prices:override`, `orders:write`).
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CountersignRequestId), Path)), request_body = CountersignNote,
    security(("token" = ["orders:write"])), responses((status = 200, body = CountersignRequest)))]
#[post("/countersign-requests/{id}/approve")]
async fn approve_countersign(
    call: Call,
    path: RefPath<CountersignRequestId>,
    body: Body<CountersignNote>,
) -> Result<Reply> {
    decide(call, path.0, body, Said::Approve).await
}

/// Decline what somebody else has asked for
///
/// Nothing is done.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CountersignRequestId), Path)), request_body = CountersignNote,
    security(("token" = ["orders:write"])), responses((status = 200, body = CountersignRequest)))]
#[post("/countersign-requests/{id}/decline")]
async fn decline_countersign(
    call: Call,
    path: RefPath<CountersignRequestId>,
    body: Body<CountersignNote>,
) -> Result<Reply> {
    decide(call, path.0, body, Said::Decline).await
}

/// Take back what one has asked for
///
/// As long as nobody has decided.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CountersignRequestId), Path)), request_body = CountersignNote,
    security(("token" = ["orders:write"])), responses((status = 200, body = CountersignRequest)))]
#[post("/countersign-requests/{id}/withdraw")]
async fn withdraw_countersign(
    call: Call,
    path: RefPath<CountersignRequestId>,
    body: Body<CountersignNote>,
) -> Result<Reply> {
    decide(call, path.0, body, Said::Withdraw).await
}

impl CountersignRequest {
    /// The answer where something waits for a second person.
    ///
    /// # Errors
    /// What can not be written as JSON.
    pub fn reply(&self) -> Result<Reply> {
        let location = format!("/v1/ops/countersign-requests/{}", self.id);
        Ok(Reply::created(self)?.version(self.version).location(location))
    }
}

impl CountersignRequest {
    /// The same where what is done at once is answered with 201 itself.
    ///
    /// # Errors
    /// What can not be written as JSON.
    pub fn accepted(&self) -> Result<Reply> {
        let location = format!("/v1/ops/countersign-requests/{}", self.id);
        Ok(Reply::accepted(self)?.version(self.version).location(location))
    }
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_countersign_requests).service(read_countersign_request);
    config.service(approve_countersign).service(decline_countersign).service(withdraw_countersign);
}

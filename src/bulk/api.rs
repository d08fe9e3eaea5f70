//! Routes of work by the hundred: for each command one that looks and one that starts what was seen.

use actix_web::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    model::{Arguments, BulkCommand, BulkItem, BulkPreview, BulkProgress},
    service::{self, Asked, Start},
};
use crate::{
    channels::Directory,
    db::Tx,
    error::{Code, Error, Result},
    http::{All, Body, Call, List, Mount, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Scope,
        ids::BulkJobId,
        text::{Note, Text},
    },
    orders::OrderQuery,
};

/// What is done to which orders.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"filter": {"state": "placed"}, "reason": "the spring sale"}))]
pub struct BulkRequest {
    /// Which orders: the filter of the list of orders, with at least one condition.
    #[schema(value_type = OrderQuery)]
    pub filter: Map<String, Value>,
    /// Why; needed to cancel.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
    /// The `token` of the preview, to start exactly that.
    #[schema(value_type = Option<String>)]
    pub token: Option<Text<200>>,
}

/// Which tags which orders are to have.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"filter": {"state": "placed"}, "add": ["spring"]}))]
pub struct BulkTagRequest {
    /// Which orders: the filter of the list of orders, with at least one condition.
    #[schema(value_type = OrderQuery)]
    pub filter: Map<String, Value>,
    /// Tags that they are to have.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 20)]
    pub add: Vec<Text<50>>,
    /// Tags that they are not to have.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 20)]
    pub remove: Vec<Text<50>>,
    /// The `token` of the preview, to start exactly that.
    #[schema(value_type = Option<String>)]
    pub token: Option<Text<200>>,
}

/// A request, whichever command it is for.
type Wanted = (Asked, Option<String>);

fn filtered(filter: &Map<String, Value>) -> Result<()> {
    match filter.values().all(Value::is_null) {
        true => Err(Error::invalid("/filter", "say which orders: all of them are not worked on at once")),
        false => Ok(()),
    }
}

impl BulkRequest {
    fn wanted(&self, command: BulkCommand) -> Result<Wanted> {
        filtered(&self.filter)?;
        if command == BulkCommand::Cancel && self.reason.is_none() {
            return Err(Error::problem(Code::MissingField, "say why they are cancelled").at("/reason"));
        }
        let arguments = Arguments { reason: self.reason.as_ref().map(ToString::to_string), ..Arguments::default() };
        let asked = Asked { command, filter: self.filter.clone(), arguments };
        Ok((asked, self.token.as_ref().map(ToString::to_string)))
    }
}

impl BulkTagRequest {
    fn wanted(&self) -> Result<Wanted> {
        filtered(&self.filter)?;
        let tags = |of: &[Text<50>]| -> Vec<String> { of.iter().map(ToString::to_string).collect() };
        let (add, remove) = (tags(&self.add), tags(&self.remove));
        if add.is_empty() && remove.is_empty() {
            return Err(Error::problem(Code::MissingField, "say which tags").at("/add"));
        }
        if add.len() > 20 || remove.len() > 20 {
            return Err(Error::invalid("/add", "expected at most 20 tags"));
        }
        let arguments = Arguments { add, remove, ..Arguments::default() };
        let asked = Asked { command: BulkCommand::Tag, filter: self.filter.clone(), arguments };
        Ok((asked, self.token.as_ref().map(ToString::to_string)))
    }
}

/// What a command would be done to.
async fn preview(call: Call, scope: Scope, (asked, _): Wanted) -> Result<Reply> {
    let actor = call.allow(scope)?.clone();
    let (now, secret, directory) = (call.now, call.state.secret.clone(), call.snapshot::<Directory>().await?);
    let look = BulkJobId::new();
    let found = call.read(move |tx| service::preview(tx, now, &actor, (&asked, &directory, &secret), look));
    Reply::ok(&found.await?)
}

/// Starts what was seen.
async fn start(call: Call, scope: Scope, fingerprint: &Fingerprint, (asked, token): Wanted) -> Result<Reply> {
    let actor = call.allow(scope)?.clone();
    let missing = || Error::problem(Code::MissingField, "preview it first and send its `token`").at("/token");
    let (now, secret, directory) = (call.now, call.state.secret.clone(), call.snapshot::<Directory>().await?);
    let ids = Start::new();
    call.command(fingerprint, move |tx| {
        let token = token.as_deref().ok_or_else(missing)?;
        let started = service::start(tx, now, &actor, (&asked, &directory, &secret), &ids, token)?;
        Ok(Reply::accepted(&started)?.location(format!("/v1/ops/bulk/{}", started.id)))
    })
    .await
}

/// See which orders would be released
///
/// All that the filter finds, 10,000 at most: how many, and what they cost. The `token` starts exactly that within ten minutes.
#[utoipa::path(tag = "answer a customer", request_body = BulkRequest, security(("token" = ["orders:write"])),
    responses((status = 200, body = BulkPreview)))]
#[post("/bulk/release/preview")]
async fn preview_bulk_release(call: Call, body: Body<BulkRequest>) -> Result<Reply> {
    call.allow(Scope::OrdersWrite)?;
    preview(call, Scope::OrdersWrite, body.wanted(BulkCommand::Release)?).await
}

/// Release many orders
///
/// Ends their holds, but for those that wait for a return (`exchange`), with the `token` of the preview. Refused (`compare_failed`) where the filter finds other orders by now. A job takes one
/// order after another; `GET /v1/ops/bulk/{id}` tells how far it has come, and `…/items` what became of each.
#[utoipa::path(tag = "answer a customer", request_body = BulkRequest, security(("token" = ["orders:write"])),
    responses((status = 202, body = BulkProgress)))]
#[post("/bulk/release")]
async fn bulk_release(call: Call, body: Body<BulkRequest>) -> Result<Reply> {
    call.allow(Scope::OrdersWrite)?;
    start(call, Scope::OrdersWrite, &body.fingerprint, body.wanted(BulkCommand::Release)?).await
}

/// See which orders would be cancelled
///
/// All that the filter finds, 10,000 at most: how many, and what they cost. That sum is within the money ceiling of whoever asks.
#[utoipa::path(tag = "answer a customer", request_body = BulkRequest, security(("token" = ["orders:write"])),
    responses((status = 200, body = BulkPreview)))]
#[post("/bulk/cancel/preview")]
async fn preview_bulk_cancel(call: Call, body: Body<BulkRequest>) -> Result<Reply> {
    call.allow(Scope::OrdersWrite)?;
    preview(call, Scope::OrdersWrite, body.wanted(BulkCommand::Cancel)?).await
}

/// Cancel many orders
///
/// What has not left of them, with the `token` of the preview.
#[utoipa::path(tag = "answer a customer", request_body = BulkRequest, security(("token" = ["orders:write"])),
    responses((status = 202, body = BulkProgress)))]
#[post("/bulk/cancel")]
async fn bulk_cancel(call: Call, body: Body<BulkRequest>) -> Result<Reply> {
    call.allow(Scope::OrdersWrite)?;
    start(call, Scope::OrdersWrite, &body.fingerprint, body.wanted(BulkCommand::Cancel)?).await
}

/// See which orders would be sourced anew
#[utoipa::path(tag = "answer a customer", request_body = BulkRequest, security(("token" = ["fulfilment:write"])),
    responses((status = 200, body = BulkPreview)))]
#[post("/bulk/resource/preview")]
async fn preview_bulk_resource(call: Call, body: Body<BulkRequest>) -> Result<Reply> {
    call.allow(Scope::FulfilmentWrite)?;
    preview(call, Scope::FulfilmentWrite, body.wanted(BulkCommand::Resource)?).await
}

/// Source many orders anew
///
/// What of them nobody has picked is planned anew, with the `token` of the preview.
#[utoipa::path(tag = "answer a customer", request_body = BulkRequest, security(("token" = ["fulfilment:write"])),
    responses((status = 202, body = BulkProgress)))]
#[post("/bulk/resource")]
async fn bulk_resource(call: Call, body: Body<BulkRequest>) -> Result<Reply> {
    call.allow(Scope::FulfilmentWrite)?;
    start(call, Scope::FulfilmentWrite, &body.fingerprint, body.wanted(BulkCommand::Resource)?).await
}

/// See which orders would be tagged
#[utoipa::path(tag = "answer a customer", request_body = BulkTagRequest, security(("token" = ["orders:write"])),
    responses((status = 200, body = BulkPreview)))]
#[post("/bulk/tag/preview")]
async fn preview_bulk_tag(call: Call, body: Body<BulkTagRequest>) -> Result<Reply> {
    call.allow(Scope::OrdersWrite)?;
    preview(call, Scope::OrdersWrite, body.wanted()?).await
}

/// Tag many orders
///
/// With the `token` of the preview.
#[utoipa::path(tag = "answer a customer", request_body = BulkTagRequest, security(("token" = ["orders:write"])),
    responses((status = 202, body = BulkProgress)))]
#[post("/bulk/tag")]
async fn bulk_tag(call: Call, body: Body<BulkTagRequest>) -> Result<Reply> {
    call.allow(Scope::OrdersWrite)?;
    start(call, Scope::OrdersWrite, &body.fingerprint, body.wanted()?).await
}

/// See of which orders the confirmation would be sent again
#[utoipa::path(tag = "answer a customer", request_body = BulkRequest, security(("token" = ["orders:write"])),
    responses((status = 200, body = BulkPreview)))]
#[post("/bulk/resend/preview")]
async fn preview_bulk_resend(call: Call, body: Body<BulkRequest>) -> Result<Reply> {
    call.allow(Scope::OrdersWrite)?;
    preview(call, Scope::OrdersWrite, body.wanted(BulkCommand::Resend)?).await
}

/// Have the confirmations of many orders sent again
///
/// With the `token` of the preview.
#[utoipa::path(tag = "answer a customer", request_body = BulkRequest, security(("token" = ["orders:write"])),
    responses((status = 202, body = BulkProgress)))]
#[post("/bulk/resend")]
async fn bulk_resend(call: Call, body: Body<BulkRequest>) -> Result<Reply> {
    call.allow(Scope::OrdersWrite)?;
    start(call, Scope::OrdersWrite, &body.fingerprint, body.wanted(BulkCommand::Resend)?).await
}

/// See how far work on many orders has come
#[utoipa::path(tag = "answer a customer", params(("id" = inline(BulkJobId), Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = BulkProgress)))]
#[get("/bulk/{id}")]
async fn read_bulk(call: Call, path: RefPath<BulkJobId>) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::OrdersRead)?.clone(), call.now);
    let found = call.read(move |tx| service::progress(tx, now, &actor, path.0));
    Reply::ok(&found.await?)
}

/// List what has become of each order
///
/// Of work on many orders: done, refused and why, or waiting.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(BulkJobId), Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<BulkItem>)))]
#[get("/bulk/{id}/items")]
async fn list_bulk_items(call: Call, path: RefPath<BulkJobId>, query: List<All>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let read = move |tx: &mut Tx, after, limit| service::items(tx, &actor, path.0, after, limit);
    query.answer(&call, |one: &BulkItem| one.order_id, read).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(preview_bulk_release).service(bulk_release).service(preview_bulk_cancel).service(bulk_cancel);
    config.service(preview_bulk_resource).service(bulk_resource).service(preview_bulk_tag).service(bulk_tag);
    config.service(preview_bulk_resend).service(bulk_resend).service(read_bulk).service(list_bulk_items);
}

//! Routes of requests for approval: for those who buy for a company and those who approve, and for staff to look at.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    model::{ApprovalRequest, ApprovalState, Decision, SaidWhy, Verdict, Wish},
    service::{self, Filter},
};
use crate::{
    carts::{CartView, Context},
    customers,
    db::Tx,
    error::Result,
    http::{Body, Call, IfMatch, List, Mount, NoBody, Page, RefPath, Reply},
    kernel::{
        Id, Scope,
        ids::{ApprovalRequestId, CartId, CompanyId},
    },
};

fn shown(request: &ApprovalRequest) -> Result<Reply> {
    Ok(Reply::ok(request)?.version(request.version))
}

/// Ask for a cart to be approved
///
/// For a cart with `needs_approval`. Its prices and stock are kept until somebody of the company has decided, for `days` at most; a change of
/// the cart ends that. With a `payment_method` it is ordered by itself once it is approved, else its buyer completes it.
#[utoipa::path(tag = "check out", params(("id" = inline(CartId), Path), IfMatch), request_body = Wish,
    security(("channel_key" = [], "token" = [])), responses((status = 201, body = ApprovalRequest)))]
#[post("/carts/{id}/approval-requests")]
async fn ask_for_approval(call: Call, path: RefPath<CartId>, body: Body<Wish>) -> Result<Reply> {
    customers::api::known(&call).await?;
    let context = Context::of(&call.state, call.shopper()?.channel, call.now).await?;
    let (actor, secret, expected) = (call.actor.clone(), call.state.secret.clone(), call.if_match()?);
    let (fresh, ids, cart, wish) = (Id::new(), (Id::new(), Id::new(), Id::new()), path.0, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let request = service::ask(tx, &context, (&actor, &secret, fresh), ids, (cart, expected, &wish))?;
        let location = format!("/v1/store/me/approval-requests/{}", request.id);
        Ok(Reply::created(&request)?.version(request.version).location(location))
    })
    .await
}

/// What a list of requests is narrowed by.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MyApprovalQuery {
    /// Those that stand there.
    #[param(inline)]
    state: Option<ApprovalState>,
}

/// List requests for approval
///
/// Those of my company where I approve for it, else my own; the newest first.
#[utoipa::path(tag = "my account", params(MyApprovalQuery), security(("channel_key" = [], "token" = [])),
    responses((status = 200, body = Page<ApprovalRequest>)))]
#[get("/me/approval-requests")]
async fn list_my_approval_requests(call: Call, query: List<MyApprovalQuery>) -> Result<Reply> {
    let (identity, state) = (customers::api::known(&call).await?, query.filter.state);
    let read = move |tx: &mut Tx, before, limit| {
        let filter = service::seen(tx, &identity, state)?;
        let found = service::page(tx, &filter, before, limit)?;
        Ok(found.into_iter().map(ApprovalRequest::for_company).collect())
    };
    query.answer(&call, |request: &ApprovalRequest| request.id, read).await
}

/// A request for approval with what it is about.
#[derive(Debug, Serialize, ToSchema)]
struct ApprovalDetail {
    #[serde(flatten)]
    request: ApprovalRequest,
    /// What was said, oldest first.
    decisions: Vec<Decision>,
    /// The cart, as it stands.
    cart: CartView,
}

fn detail(tx: &mut Tx, request: ApprovalRequest, view: fn(crate::carts::Cart) -> CartView) -> Result<ApprovalDetail> {
    let decisions = service::decisions(tx, request.id)?;
    let cart = view(service::cart_of(tx, &request)?);
    // Its buyer may have ordered it themselves.
    let request = ApprovalRequest { order_id: request.order_id.or(cart.order_id), ..request };
    Ok(ApprovalDetail { request, decisions, cart })
}

/// Read a request for approval
#[utoipa::path(tag = "my account", params(("id" = inline(ApprovalRequestId), Path)), security(("channel_key" = [], "token" = [])),
    responses((status = 200, body = ApprovalDetail)))]
#[get("/me/approval-requests/{id}")]
async fn read_my_approval_request(call: Call, path: RefPath<ApprovalRequestId>) -> Result<Reply> {
    let (identity, id) = (customers::api::known(&call).await?, path.0);
    let found = call.read(move |tx| {
        let request = service::visible(tx, &identity, id)?.for_company();
        detail(tx, request, |cart| CartView::new(cart, Vec::new()))
    });
    let found = found.await?;
    Ok(Reply::ok(&found)?.version(found.request.version))
}

async fn decide(call: Call, id: ApprovalRequestId, body: Body<SaidWhy>, verdict: Verdict) -> Result<Reply> {
    let (identity, actor, now, ids) =
        (customers::api::known(&call).await?, call.actor.clone(), call.now, (id, Id::new(), Id::new()));
    let note = body.note.as_ref().map(ToString::to_string);
    call.command(&body.fingerprint, move |tx| {
        shown(&service::decide(tx, (now, &actor), &identity, ids, (verdict, note.as_deref()))?.for_company())
    })
    .await
}

/// Approve an order
///
/// For approvers of the company, never for who has asked. The last approval that is needed has the order placed, where it was said how it is
/// paid.
#[utoipa::path(tag = "my account", params(("id" = inline(ApprovalRequestId), Path)), request_body = SaidWhy,
    security(("channel_key" = [], "token" = [])), responses((status = 200, body = ApprovalRequest)))]
#[post("/me/approval-requests/{id}/approve")]
async fn approve_request(call: Call, path: RefPath<ApprovalRequestId>, body: Body<SaidWhy>) -> Result<Reply> {
    decide(call, path.0, body, Verdict::Approve).await
}

/// Reject an order
///
/// One rejection ends the request: the cart is its buyer's again.
#[utoipa::path(tag = "my account", params(("id" = inline(ApprovalRequestId), Path)), request_body = SaidWhy,
    security(("channel_key" = [], "token" = [])), responses((status = 200, body = ApprovalRequest)))]
#[post("/me/approval-requests/{id}/reject")]
async fn reject_request(call: Call, path: RefPath<ApprovalRequestId>, body: Body<SaidWhy>) -> Result<Reply> {
    decide(call, path.0, body, Verdict::Reject).await
}

/// Withdraw a request for approval
///
/// By who has made it, as long as it is not ordered.
#[utoipa::path(tag = "my account", params(("id" = inline(ApprovalRequestId), Path)), security(("channel_key" = [], "token" = [])),
    responses((status = 200, body = ApprovalRequest)))]
#[post("/me/approval-requests/{id}/withdraw")]
async fn withdraw_request(call: Call, path: RefPath<ApprovalRequestId>, _: NoBody) -> Result<Reply> {
    let (identity, actor, now, ids) =
        (customers::api::known(&call).await?, call.actor.clone(), call.now, (path.0, Id::new()));
    let sent = crate::http::idempotency::Fingerprint::none();
    call.command(&sent, move |tx| shown(&service::withdraw(tx, (now, &actor), &identity, ids)?.for_company())).await
}

/// What a list of requests is narrowed by.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ApprovalQuery {
    /// Those of a company.
    #[param(value_type = Option<String>)]
    company_id: Option<CompanyId>,
    /// Those that stand there.
    #[param(inline)]
    state: Option<ApprovalState>,
}

/// List requests for approval
///
/// Of companies' buyers; the newest first.
#[utoipa::path(tag = "answer a customer", params(ApprovalQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<ApprovalRequest>)))]
#[get("/approval-requests")]
async fn list_approval_requests(call: Call, query: List<ApprovalQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?;
    let ApprovalQuery { company_id, state } = query.filter.clone();
    let channels = actor.channels().map(<[_]>::to_vec);
    let filter = Filter { company: company_id, customer: None, state, channels };
    let read = move |tx: &mut Tx, before, limit| service::page(tx, &filter, before, limit);
    query.answer(&call, |request: &ApprovalRequest| request.id, read).await
}

/// Read a request for approval
#[utoipa::path(tag = "answer a customer", params(("id" = inline(ApprovalRequestId), Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = ApprovalDetail)))]
#[get("/approval-requests/{id}")]
async fn read_approval_request(call: Call, path: RefPath<ApprovalRequestId>) -> Result<Reply> {
    let (actor, id) = (call.allow(Scope::OrdersRead)?.clone(), path.0);
    let found = call.read(move |tx| {
        let request = service::of_staff(tx, &actor, id)?;
        detail(tx, request, |cart| CartView::for_staff(cart, Vec::new()))
    });
    let found = found.await?;
    Ok(Reply::ok(&found)?.version(found.request.version))
}

async fn decide_credit(call: Call, id: ApprovalRequestId, body: Body<SaidWhy>, verdict: Verdict) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::PaymentsWrite)?.clone(), call.now);
    let (ids, note) = ((id, Id::new(), Id::new()), body.note.as_ref().map(ToString::to_string));
    call.command(&body.fingerprint, move |tx| {
        shown(&service::decide_credit(tx, (now, &actor), ids, (verdict, note.as_deref()))?)
    })
    .await
}

/// Approve an order above a company's credit
///
/// For the shop, where the company's credit says `approval` and everybody of the company has approved who has to: the company may owe as much
/// as this order takes it to, and no more. It is ordered then, on account.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(ApprovalRequestId), Path)), request_body = SaidWhy,
    security(("token" = ["payments:write"])), responses((status = 200, body = ApprovalRequest)))]
#[post("/approval-requests/{id}/approve")]
async fn approve_credit(call: Call, path: RefPath<ApprovalRequestId>, body: Body<SaidWhy>) -> Result<Reply> {
    decide_credit(call, path.0, body, Verdict::Approve).await
}

/// Reject an order above a company's credit
///
/// The cart is its buyer's again.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(ApprovalRequestId), Path)), request_body = SaidWhy,
    security(("token" = ["payments:write"])), responses((status = 200, body = ApprovalRequest)))]
#[post("/approval-requests/{id}/reject")]
async fn reject_credit(call: Call, path: RefPath<ApprovalRequestId>, body: Body<SaidWhy>) -> Result<Reply> {
    decide_credit(call, path.0, body, Verdict::Reject).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_approval_requests).service(read_approval_request);
    config.service(approve_credit).service(reject_credit);
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(ask_for_approval).service(list_my_approval_requests).service(read_my_approval_request);
    config.service(approve_request).service(reject_request).service(withdraw_request);
}

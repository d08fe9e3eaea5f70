//! Routes by which staff ask for money of a placed order.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::requests::{self, Asked, RequestLink};
use crate::{
    error::Result,
    fulfilment::Fresh,
    http::{Body, Call, Mount, NoBody, RefPath, Reply, idempotency::Fingerprint},
    kernel::{Id, Scope, ids::PaymentRequestId},
    orders,
    payments::requests::PaymentRequest,
};

/// Ask for money of an order by a link
///
/// For what an order owes and nobody has promised: more than it was to cost before it was amended, what a card's promise that has ended leaves
/// open, what was to be transferred. Give the link to whoever pays; the storefront's page opens it and pays with it
/// (`/v1/store/payment-requests/open`, `/pay`). All links of an order together ask for no more than it owes.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = Asked,
    security(("token" = ["orders:write"])), responses((status = 201, body = RequestLink)))]
#[post("/orders/{ref}/payment-requests")]
async fn ask_for_payment(call: Call, path: RefPath<String>, body: Body<Asked>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (now, fresh, of, secret, asked) =
        (call.now, Fresh::new(), path.0, call.state.secret.clone(), body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &of)?;
        let made = requests::ask(tx, (now, &actor), &fresh, &secret, (id, &asked))?;
        let location = format!("/v1/ops/payment-requests/{}", made.request.id);
        Ok(Reply::created(&made)?.version(made.request.version).location(location).secret())
    })
    .await
}

/// What was asked for of an order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct OrderPaymentRequests {
    /// The oldest first.
    payment_requests: Vec<PaymentRequest>,
}

/// List what was asked for of an order by links
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = OrderPaymentRequests)))]
#[get("/orders/{ref}/payment-requests")]
async fn order_payment_requests(call: Call, path: RefPath<String>) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::OrdersRead)?.clone(), call.now);
    let found = call.read(move |tx| {
        let id = orders::find(tx, &actor, &path.0)?;
        Ok(OrderPaymentRequests { payment_requests: requests::of_order(tx, now, id)? })
    });
    Reply::ok(&found.await?)
}

/// Read a payment request
#[utoipa::path(tag = "answer a customer", params(("id" = inline(PaymentRequestId), Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = PaymentRequest)))]
#[get("/payment-requests/{id}")]
async fn read_payment_request(call: Call, path: RefPath<PaymentRequestId>) -> Result<Reply> {
    let (actor, id, now) = (call.allow(Scope::OrdersRead)?.clone(), path.0, call.now);
    let found = call.read(move |tx| requests::read(tx, now, &actor, id)).await?;
    Ok(Reply::ok(&found)?.version(found.version))
}

/// Withdraw a payment request
///
/// Its link can not be paid any more. While somebody is paying, it is refused (`state_conflict`).
#[utoipa::path(tag = "answer a customer", params(("id" = inline(PaymentRequestId), Path)),
    security(("token" = ["orders:write"])), responses((status = 200, body = PaymentRequest)))]
#[post("/payment-requests/{id}/withdraw")]
async fn withdraw_payment_request(call: Call, path: RefPath<PaymentRequestId>, _: NoBody) -> Result<Reply> {
    let (actor, id, now, event) = (call.allow(Scope::OrdersWrite)?.clone(), path.0, call.now, Id::new());
    call.command(&Fingerprint::none(), move |tx| {
        let request = requests::withdraw(tx, (now, &actor), event, id)?;
        Ok(Reply::ok(&request)?.version(request.version))
    })
    .await
}

/// For how long another link is good.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentRequestRenewal, example = json!({"hours": 72}))]
struct RenewRequest {
    /// So many hours from now: 168 (a week) unless told.
    #[schema(minimum = 1, maximum = 2_160)]
    hours: Option<i64>,
}

/// Make another link of a payment request
///
/// For one whose link nobody has: it was made once somebody else had approved the amendment that asks for it, or the link was lost. The one
/// before is good no more. While somebody is paying, and once it can not be paid any more, it is refused (`state_conflict`).
#[utoipa::path(tag = "answer a customer", params(("id" = inline(PaymentRequestId), Path)), request_body = RenewRequest,
    security(("token" = ["orders:write"])), responses((status = 201, body = RequestLink)))]
#[post("/payment-requests/{id}/token")]
async fn renew_payment_link(call: Call, path: RefPath<PaymentRequestId>, body: Body<RenewRequest>) -> Result<Reply> {
    let (actor, id, now, event) = (call.allow(Scope::OrdersWrite)?.clone(), path.0, call.now, Id::new());
    let (secret, hours) = (call.state.secret.clone(), body.hours);
    call.command(&body.fingerprint, move |tx| {
        let made = requests::renew(tx, (now, &actor), (event, &secret), (id, hours))?;
        let location = format!("/v1/ops/payment-requests/{id}");
        Ok(Reply::created(&made)?.version(made.request.version).location(location).secret())
    })
    .await
}

/// The routes of the ops surface.
pub(super) fn ops(config: &mut Mount<'_>) {
    config.service(ask_for_payment).service(order_payment_requests);
    config.service(read_payment_request).service(withdraw_payment_request).service(renew_payment_link);
}

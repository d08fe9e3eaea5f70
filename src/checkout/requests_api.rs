//! Routes by which what was asked for after the order is paid.

use actix_web::post;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    follow_up::{self, Of},
    model::{GiveUpRequest, PaymentChoice},
    requests::{self, RequestResult},
};
use crate::{
    carts::Context,
    error::{Error, Result},
    fulfilment,
    http::{Body, Call, Mount, RefPath, Reply},
    kernel::{Instant, Money, Scope, ids::PaymentRequestId, text::Text},
    orders::OrderDocument,
    payments::requests::{PaymentRequest, PaymentRequestState},
};

/// A link that somebody has.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentRequestToken, example = json!({"token": "preq_01h455vb4pex5vsknk084sn02q.Zm9yLWV4YW1wbGUtb25seS0zMi1jaGFy"}))]
struct RequestToken {
    /// The link's token.
    #[schema(value_type = String, max_length = 200)]
    token: Text<200>,
}

/// What whoever has a link is asked to pay.
#[derive(Debug, Serialize, ToSchema)]
struct LinkedRequest {
    /// Where it stands: it can be paid while it is `open`, and while it is `paying` whoever began goes on by paying again.
    state: PaymentRequestState,
    /// How much.
    amount: Money,
    /// The order's number.
    #[schema(example = "1001")]
    order_number: String,
    /// What the shop says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Until when it can be paid.
    expires_at: Instant,
    /// By which methods of the channel.
    payment_methods: Vec<String>,
}

/// The request of a link, of the channel that is asked.
async fn linked(call: &Call, token: &Text<200>) -> Result<(PaymentRequest, OrderDocument)> {
    let (now, secret, token) = (call.now, call.state.secret.clone(), token.to_string());
    let found = call.read(move |tx| fulfilment::requests::linked(tx, now, &secret, &token)).await?;
    match found.0.channel_id == call.shopper()?.channel {
        true => Ok(found),
        false => Err(Error::not_found("payment request, or its link is another one")),
    }
}

/// Open a payment request's link
///
/// What the shop asks for of an order that is placed already. A token that was made up is `not_found`.
#[utoipa::path(tag = "check out", request_body = RequestToken, responses((status = 200, body = LinkedRequest)))]
#[post("/payment-requests/open")]
async fn open_payment_request(call: Call, body: Body<RequestToken>) -> Result<Reply> {
    // Nothing is done that could be done twice; a key that can not be heeded is refused as everywhere.
    call.idempotency_key(&body.fingerprint)?;
    let (request, order) = linked(&call, &body.token).await?;
    let context = Context::of(&call.state, request.channel_id, call.now).await?;
    let methods = context.channel.settings.payment_methods.iter().map(ToString::to_string);
    let seen = LinkedRequest {
        state: request.state,
        amount: request.amount,
        order_number: order.number,
        message: request.message,
        expires_at: request.expires_at,
        payment_methods: methods.filter(|method| requests::pays(method)).collect(),
    };
    Ok(Reply::ok(&seen)?.secret())
}

/// Paying what is asked for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentRequestPayment, example = json!({"token": "preq_01h455vb4pex5vsknk084sn02q.Zm9yLWV4YW1wbGUtb25seS0zMi1jaGFy",
    "payment": {"method": "sandbox", "instrument": "approve"}}))]
struct PayRequest {
    /// The link's token.
    #[schema(value_type = String, max_length = 200)]
    token: Text<200>,
    /// How it is paid: by one of the `payment_methods`.
    payment: PaymentChoice,
}

/// Pay a payment request
///
/// Once, whoever has the link and however often it is sent. After a redirect it is sent again to see what came of it. What is promised is taken
/// with the goods; what has left already is taken at once.
#[utoipa::path(tag = "check out", request_body = PayRequest, responses(
    (status = 200, description = "It is paid, or the payment failed and the request can be paid again.", body = RequestResult),
    (status = 202, description = "The customer has to act, or the provider has not answered yet.", body = RequestResult)))]
#[post("/payment-requests/pay")]
async fn pay_payment_request(call: Call, body: Body<PayRequest>) -> Result<Reply> {
    let key = call.idempotency_key(&body.fingerprint)?;
    let (request, order) = linked(&call, &body.token).await?;
    let context = Context::of(&call.state, request.channel_id, call.now).await?;
    requests::pay(&call.state, &context.channel, (&request, &order), &body.payment, key).await
}

/// Give up an attempt to pay a request that has no answer
///
/// As for carts (`POST /v1/ops/carts/{id}/give-up-payment`): the provider is told first that the attempt is over; then the request can be paid
/// again, or withdrawn. `force` ends it where the provider can not be told.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(PaymentRequestId), Path)), request_body = GiveUpRequest,
    security(("token" = ["payments:write"])), responses((status = 200, body = RequestResult)))]
#[post("/payment-requests/{id}/give-up-payment")]
async fn give_up_request_payment(
    call: Call,
    path: RefPath<PaymentRequestId>,
    body: Body<GiveUpRequest>,
) -> Result<Reply> {
    call.allow(Scope::PaymentsWrite)?;
    follow_up::give_up_attempt(call, Of::Request(path.0), body.value.force, &body.fingerprint).await
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(open_payment_request).service(pay_payment_request);
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(give_up_request_payment);
}

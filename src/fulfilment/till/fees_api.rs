//! Routes of what providers keep.

use actix_web::post;
use serde::{Deserialize, Serialize};

use super::fees;
use crate::{
    error::{Error, Result},
    fulfilment::api::checked_time,
    http::{Body, Call, Mount, RefPath, Reply},
    kernel::{Instant, Money, Scope, ids::PaymentId, text::Text},
    payments::fees::PaymentFee,
};

/// What a provider has kept of a payment, as its statement tells it.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reference": "txn_1", "amount": {"amount": "1.07", "currency": "EUR"}}))]
pub struct FeeRequest {
    /// What its statement calls it: of a payment each is noted once.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub reference: Text<200>,
    /// How much. What is in another currency than the order's is noted, and not booked.
    pub amount: Money,
    /// When it was kept, if that was not now. Needs the scope `history:write`.
    pub occurred_at: Option<Instant>,
}

/// What providers have kept of a payment.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PaymentFees {
    /// Each, the oldest first.
    pub fees: Vec<PaymentFee>,
}

/// Record what a provider kept
///
/// Of a payment, as its statement tells it: it is booked as `fee`, and changes nothing of what the customer owes. Each `reference` counts
/// once, however often it is sent. Stripe's is asked for by itself.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(PaymentId), Path)), request_body = FeeRequest,
    security(("token" = ["payments:write"])), responses((status = 200, body = PaymentFees)))]
#[post("/payments/{id}/fees")]
async fn record_fee(call: Call, path: RefPath<PaymentId>, body: Body<FeeRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::PaymentsWrite)?.clone();
    checked_time(&call, body.occurred_at)?;
    if body.amount.minor() < 1 {
        return Err(Error::invalid("/amount", "expected an amount above zero"));
    }
    let (id, now) = (path.0, call.now);
    let occurred_at = body.occurred_at.unwrap_or(now);
    let fee = PaymentFee { reference: body.reference.to_string(), amount: body.amount, occurred_at };
    call.command(&body.fingerprint, move |tx| {
        Reply::ok(&PaymentFees { fees: fees::keep(tx, now, &actor, id, std::slice::from_ref(&fee))? })
    })
    .await
}

/// The routes of the ops surface.
pub(super) fn ops(config: &mut Mount<'_>) {
    config.service(record_fee);
}

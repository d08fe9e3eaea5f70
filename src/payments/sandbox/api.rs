//! Playing the customer and the bank: what the sandbox believes, and deciding what waits for a decision.

use actix_web::{get, post};

use serde::Deserialize;

use super::{SandboxPayment, SandboxState, dispute_job, notification_job, store};
use crate::{
    error::{Error, Result},
    http::{Body, Call, Mount, NoBody, RefPath, Reply, idempotency::Fingerprint},
    jobs,
    kernel::{Instant, Money, Scope, text::Text},
    payments::disputes::{DisputeNotice, DisputeState},
};

/// What the bank says.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reference": "dp_1", "state": "open", "reason": "fraudulent"}))]
pub struct SandboxDispute {
    /// What the dispute is called.
    #[schema(value_type = String, max_length = 200)]
    pub reference: Text<200>,
    /// Where it stands.
    pub state: DisputeState,
    /// Why.
    #[schema(value_type = String, max_length = 200)]
    pub reason: Text<200>,
    /// How much; all that was taken and not given back, unless told.
    pub amount: Option<Money>,
    /// What the bank keeps for it.
    pub fee: Option<Money>,
    /// Until when it can be answered.
    pub respond_by: Option<Instant>,
}

impl SandboxDispute {
    fn notice(&self) -> DisputeNotice {
        DisputeNotice {
            reference: self.reference.to_string(),
            state: self.state,
            reason: self.reason.to_string(),
            amount: self.amount,
            fee: self.fee,
            respond_by: self.respond_by,
        }
    }
}

/// Whoever is limited to some channels has no business here: the sandbox, like any provider, knows no channels.
fn allow(call: &Call) -> Result<()> {
    let actor = call.allow(Scope::PaymentsWrite)?;
    if actor.channels().is_some() { Err(unknown()) } else { Ok(()) }
}

fn unknown() -> Error {
    Error::not_found("payment in the sandbox")
}

/// Read what the sandbox provider believes about a payment
///
/// The key is the payment's own key, as `action.url` of a redirect ends with it. Payments with the instrument `approve`
/// are remembered from their first capture, void or refund on; declined ones are not remembered.
#[utoipa::path(tag = "set up a shop", params(("our_key" = String, Path)), security(("token" = ["payments:write"])),
    responses((status = 200, body = SandboxPayment)))]
#[get("/sandbox/payments/{our_key}")]
async fn read_sandbox_payment(call: Call, path: RefPath<String>) -> Result<Reply> {
    allow(&call)?;
    Reply::ok(&call.read(move |tx| store::get(tx, &path.0)?.ok_or_else(unknown)).await?)
}

/// Approve a payment that waits for its customer
///
/// The sandbox then sends the notification, as a real provider does. Doing it again sends it again.
#[utoipa::path(tag = "set up a shop", params(("our_key" = String, Path)), security(("token" = ["payments:write"])),
    responses((status = 202, body = SandboxPayment)))]
#[post("/sandbox/payments/{our_key}/approve")]
async fn approve_sandbox_payment(call: Call, path: RefPath<String>, _: NoBody) -> Result<Reply> {
    decide(call, path.0, SandboxState::Authorised).await
}

/// Decline a payment that waits for its customer
///
/// The sandbox then sends the notification, as a real provider does. Doing it again sends it again.
#[utoipa::path(tag = "set up a shop", params(("our_key" = String, Path)), security(("token" = ["payments:write"])),
    responses((status = 202, body = SandboxPayment)))]
#[post("/sandbox/payments/{our_key}/decline")]
async fn decline_sandbox_payment(call: Call, path: RefPath<String>, _: NoBody) -> Result<Reply> {
    decide(call, path.0, SandboxState::Declined).await
}

async fn decide(call: Call, our_key: String, state: SandboxState) -> Result<Reply> {
    allow(&call)?;
    let (now, job) = (call.now, notification_job(call.now, &our_key));
    call.command(&Fingerprint::none(), move |tx| {
        let decided = store::decide(tx, now, &our_key, state)?;
        let known = store::get(tx, &our_key)?.ok_or_else(unknown)?;
        if !decided && known.state != state {
            return Err(Error::conflict(format!("the payment is {} in the sandbox", known.state)));
        }
        jobs::enqueue(tx, now, vec![job.clone()])?;
        Reply::accepted(&known)
    })
    .await
}

/// Have a payment disputed, or a dispute decided
///
/// As the customer's bank: the sandbox sends the notification that a real provider would. A dispute is opened by its first message
/// (`open`), and ended by another with the same reference.
#[utoipa::path(tag = "set up a shop", params(("our_key" = String, Path)), request_body = SandboxDispute,
    security(("token" = ["payments:write"])), responses((status = 202, body = SandboxPayment)))]
#[post("/sandbox/payments/{our_key}/dispute")]
async fn dispute_sandbox_payment(call: Call, path: RefPath<String>, body: Body<SandboxDispute>) -> Result<Reply> {
    allow(&call)?;
    let notice = body.notice();
    let (now, our_key) = (call.now, path.0);
    let job = dispute_job(now, &our_key, &notice);
    call.command(&body.fingerprint, move |tx| {
        let known = store::get(tx, &our_key)?.ok_or_else(unknown)?;
        jobs::enqueue(tx, now, vec![job.clone()])?;
        Reply::accepted(&known)
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config
        .service(dispute_sandbox_payment)
        .service(read_sandbox_payment)
        .service(approve_sandbox_payment)
        .service(decline_sandbox_payment);
}

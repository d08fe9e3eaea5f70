//! Playing the customer and the bank: what the sandbox believes, and deciding what waits for a decision.

use actix_web::{get, post};

use super::{SandboxPayment, SandboxState, notification_job, store};
use crate::{
    error::{Error, Result},
    http::{Call, Mount, NoBody, RefPath, Reply, idempotency::Fingerprint},
    jobs,
    kernel::Scope,
};

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

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(read_sandbox_payment).service(approve_sandbox_payment).service(decline_sandbox_payment);
}

//! Routes of what was found of orders, and of what became of them.

use actix_web::{get, post};

use super::judging;
use crate::{
    error::Result,
    http::{Body, Call, Mount, RefPath, Reply},
    kernel::Scope,
    orders,
    risk::{self, OutcomeRequest, RiskAssessment},
};

/// Read the risk of an order
///
/// What was found when it was placed: the score, each rule with what it has seen, what was known; and what became of the order.
/// `not_found` where its channel had no rules then.
#[utoipa::path(tag = "judge risk", params(("ref" = String, Path)), security(("token" = ["risk:read"])),
    responses((status = 200, body = RiskAssessment)))]
#[get("/orders/{ref}/risk")]
async fn read_order_risk(call: Call, path: RefPath<String>) -> Result<Reply> {
    let (actor, of) = (call.allow(Scope::RiskRead)?.clone(), path.0);
    Reply::ok(&call.read(move |tx| judging::of_order(tx, &actor, &of)).await?)
}

/// Say what became of an order
///
/// `fraud` and `loss` make what its shopper was known by known for losses; `legitimate` takes that back. What was said before is
/// replaced. Releasing a hold for risk says `legitimate` by itself. It moves neither goods nor money: cancel or refund the order for that.
#[utoipa::path(tag = "judge risk", params(("ref" = String, Path)), request_body = OutcomeRequest,
    security(("token" = ["risk:write"])), responses((status = 200, body = RiskAssessment)))]
#[post("/orders/{ref}/risk/outcome")]
async fn judge_order(call: Call, path: RefPath<String>, body: Body<OutcomeRequest>) -> Result<Reply> {
    let (actor, of, now) = (call.allow(Scope::RiskWrite)?.clone(), path.0, call.now);
    let (outcome, note) = (body.outcome, body.note.as_ref().map(ToString::to_string));
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &of)?;
        Reply::ok(&risk::judge(tx, (now, &actor), id, outcome, note.as_deref())?)
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(read_order_risk).service(judge_order);
}

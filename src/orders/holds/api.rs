//! Routes that hold orders and release them.

use actix_web::post;
use serde::Deserialize;

use super::{
    model::{NewOrderHold, OrderHoldKind},
    service,
};
use crate::{
    error::{Error, Result},
    http::{Body, Call, Mount, RefPath, Reply},
    kernel::{
        Instant, Scope,
        ids::EventId,
        text::{Note, Text},
    },
    orders::{self, Command, OrderDocument},
    risk,
};

/// Why an order is held.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "risk", "blocks": ["ship", "refund"], "reason": "three cards were tried", "owner": "ada"}))]
pub struct OrderHoldRequest {
    /// What for. The order, and each of its lines, is held for each at most once.
    pub kind: OrderHoldKind,
    /// The line that is held; all of the order when absent.
    pub line_no: Option<i32>,
    /// What is not done until the hold ends: any of `ship` (picking and packing too), `cancel`, `return`, `refund`; of an `exchange` also
    /// `settle`, that money is taken. Shipping when absent; `settle` for an `exchange`.
    #[schema(min_items = 1)]
    pub blocks: Option<Vec<Command>>,
    /// Why, in words.
    #[schema(value_type = String)]
    pub reason: Note<500>,
    /// Who looks after it.
    #[schema(value_type = Option<String>)]
    pub owner: Option<Text<100>>,
    /// When the hold ends by itself.
    pub expires_at: Option<Instant>,
}

impl OrderHoldRequest {
    fn checked(&self, now: Instant) -> Result<NewOrderHold> {
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(Error::invalid("/expires_at", "expected a time that is to come"));
        }
        if self.blocks.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::invalid("/blocks", "expected what is not to be done; leave it out for shipping"));
        }
        Ok(NewOrderHold {
            kind: self.kind,
            line_no: self.line_no,
            blocks: self.blocks.clone(),
            reason: self.reason.to_string(),
            owner: self.owner.as_ref().map(ToString::to_string),
            expires_at: self.expires_at,
        })
    }
}

/// Hold an order
///
/// Until the hold is released, or its time is over, what it blocks is not done with the order, or with one line of it. It may be held
/// for several reasons at once: each has to end. A hold for `payment` ends when all that is due has come in. What another system reports to
/// have shipped meanwhile is refused, and taken once the order is released.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = OrderHoldRequest,
    security(("token" = ["orders:write"])), responses((status = 200, body = OrderDocument)))]
#[post("/orders/{ref}/hold")]
async fn hold_order(call: Call, path: RefPath<String>, body: Body<OrderHoldRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (now, event, of, new) = (call.now, EventId::new(), path.0, body.checked(call.now)?);
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &of)?;
        let order = service::hold(tx, now, &actor, event, id, &new)?;
        Ok(Reply::ok(&order)?.version(order.version))
    })
    .await
}

/// Which holds of an order end.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderReleaseRequest, example = json!({"kind": "risk", "reason": "the customer has called back"}))]
pub struct ReleaseRequest {
    /// Those of this kind; all of them when absent.
    pub kind: Option<OrderHoldKind>,
    /// Those of this line only; those of all of the order and of any line when absent.
    pub line_no: Option<i32>,
    /// Why, in words.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
}

/// Release an order
///
/// Ends its holds: all of them, those of a kind, those of a line. Where it was held by the rules of risk, that says that nothing was wrong with it.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = ReleaseRequest,
    security(("token" = ["orders:write"])), responses((status = 200, body = OrderDocument)))]
#[post("/orders/{ref}/release")]
async fn release_order(call: Call, path: RefPath<String>, body: Body<ReleaseRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (kind, line_no, why) = (body.kind, body.line_no, body.reason.as_ref().map(ToString::to_string));
    let (now, event, of) = (call.now, EventId::new(), path.0);
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &of)?;
        let order = service::release(tx, now, &actor, event, id, (kind, line_no, why.as_deref()))?;
        let for_risk = |kind: OrderHoldKind| kind == OrderHoldKind::Risk;
        if kind.is_none_or(for_risk) && !order.holds.iter().any(|hold| for_risk(hold.block.kind)) {
            risk::judged_by_release(tx, (now, &actor), id)?;
        }
        Ok(Reply::ok(&order)?.version(order.version))
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(hold_order).service(release_order);
}

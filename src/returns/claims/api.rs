//! Routes of claims: for customers and guests, for staff.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::{
    model::{OrderClaimDocument, OrderClaimKind, OrderClaimResolution},
    second,
    service::{self, NewClaim, SettleIds, Settling},
};
use crate::{
    countersign::{self, CountersignRequest, Passed},
    error::{Code, Error, Result},
    fulfilment::Fresh,
    http::{Body, Call, Mount, Params, RefPath, Reply},
    kernel::{
        Action, Id, Quantity, Scope,
        ids::{OrderClaimId, OrderId, ShipmentId},
        text::Note,
    },
    orders,
    returns::forms::OwnReturnQuery,
    stock::Locations,
};

/// Claimed pieces.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimLine {
    /// The order's line.
    pub line_no: i32,
    /// How many.
    pub quantity: Quantity,
}

/// What is claimed of an order.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "damaged", "lines": [{"line_no": 1, "quantity": 1}], "comment": "the handle is broken"}))]
pub struct OrderClaimRequest {
    /// What.
    pub kind: OrderClaimKind,
    /// Of which lines.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Vec<ClaimLine>,
    /// Of which parcel; of any when left out.
    pub shipment_id: Option<ShipmentId>,
    /// What there is to say.
    #[schema(value_type = Option<String>)]
    pub comment: Option<Note<2000>>,
}

impl OrderClaimRequest {
    fn claim(&self, number: String, by_customer: bool) -> Result<NewClaim> {
        Ok(NewClaim {
            id: Id::new(),
            number,
            kind: self.kind,
            shipment: self.shipment_id,
            lines: checked(&self.lines)?,
            comment: self.comment.as_ref().map(ToString::to_string),
            by_customer,
        })
    }
}

/// Lines and their pieces, as they are asked for.
fn checked(lines: &[ClaimLine]) -> Result<Vec<(i32, i64)>> {
    if !(1..=1000).contains(&lines.len()) {
        return Err(Error::invalid("/lines", "expected 1 to 1000 lines"));
    }
    let line = |(place, line): (usize, &ClaimLine)| match line.quantity.is_zero() {
        true => {
            let error = Error::problem(Code::QuantityInvalid, "expected at least one piece");
            Err(error.at(format!("/lines/{place}/quantity")))
        }
        false => Ok((line.line_no, line.quantity.get())),
    };
    lines.iter().enumerate().map(line).collect()
}

async fn number(call: &Call) -> Result<String> {
    Ok(format!("C{}", call.state.db.next_number("order_claims").await?))
}

/// A claim, and what can be done with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OrderClaimDetail {
    /// It.
    #[serde(flatten)]
    pub claim: OrderClaimDocument,
    /// What can be done now, or why not.
    pub actions: Vec<Action>,
}

impl From<OrderClaimDocument> for OrderClaimDetail {
    fn from(claim: OrderClaimDocument) -> Self {
        Self { actions: claim.actions(), claim }
    }
}

fn answer(claim: OrderClaimDocument) -> Result<Reply> {
    let version = claim.version;
    Ok(Reply::ok(&OrderClaimDetail::from(claim))?.version(version))
}

/// Claim that something is lost, damaged, wrong or missing
///
/// Of one's order: as its customer, as a guest with the `Cart-Token` of the cart it was, or as anybody with the `token` of a link to it.
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), OwnReturnQuery), request_body = OrderClaimRequest,
    responses((status = 201, body = OrderClaimDocument)))]
#[post("/orders/{id}/claims")]
async fn claim_own(
    call: Call,
    path: RefPath<OrderId>,
    query: Params<OwnReturnQuery>,
    body: Body<OrderClaimRequest>,
) -> Result<Reply> {
    call.shopper()?;
    let (id, now, event, token) = (path.0, call.now, Id::new(), query.0.token);
    let new = body.claim(number(&call).await?, true)?;
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    call.command(&body.fingerprint, move |tx| {
        orders::opened(tx, &actor, (&secret, now), id, token.as_deref())?;
        let made = service::open(tx, (now, &actor), event, id, &new)?;
        Ok(Reply::created(&made.for_shopper())?.version(made.version).location(format!("/v1/store/orders/{id}/claims")))
    })
    .await
}

/// The claims of an order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OrderClaims {
    /// The oldest first.
    pub claims: Vec<OrderClaimDocument>,
}

/// See the claims of one's order
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), OwnReturnQuery),
    responses((status = 200, body = OrderClaims)))]
#[get("/orders/{id}/claims")]
async fn own_claims(call: Call, path: RefPath<OrderId>, query: Params<OwnReturnQuery>) -> Result<Reply> {
    call.shopper()?;
    let (id, now, token) = (path.0, call.now, query.0.token);
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    let found = call.read(move |tx| {
        orders::opened(tx, &actor, (&secret, now), id, token.as_deref())?;
        service::of_order(tx, id)
    });
    let claims = found.await?.iter().map(OrderClaimDocument::for_shopper).collect();
    Reply::ok(&OrderClaims { claims })
}

/// Claim for a customer that something is lost, damaged, wrong or missing
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = OrderClaimRequest,
    security(("token" = ["orders:write"])), responses((status = 201, body = OrderClaimDetail)))]
#[post("/orders/{ref}/claims")]
async fn open_claim(call: Call, path: RefPath<String>, body: Body<OrderClaimRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (of, now, event) = (path.0, call.now, Id::new());
    let new = body.claim(number(&call).await?, false)?;
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &of)?;
        let made = service::open(tx, (now, &actor), event, id, &new)?;
        let (version, path) = (made.version, format!("/v1/ops/claims/{}", made.id));
        Ok(Reply::created(&OrderClaimDetail::from(made))?.version(version).location(path))
    })
    .await
}

/// See the claims of an order
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = OrderClaims)))]
#[get("/orders/{ref}/claims")]
async fn order_claims(call: Call, path: RefPath<String>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let found = call.read(move |tx| {
        let id = orders::find(tx, &actor, &path.0)?;
        service::of_order(tx, id)
    });
    Reply::ok(&OrderClaims { claims: found.await? })
}

/// Read a claim
#[utoipa::path(tag = "answer a customer", params(("id" = inline(OrderClaimId), Path)),
    security(("token" = ["orders:read"])), responses((status = 200, body = OrderClaimDetail)))]
#[get("/claims/{id}")]
async fn read_claim(call: Call, path: RefPath<OrderClaimId>) -> Result<Reply> {
    let (actor, id) = (call.allow(Scope::OrdersRead)?.clone(), path.0);
    answer(call.read(move |tx| service::read(tx, &actor, id)).await?)
}

/// How a claim is settled.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderClaimSettlement, example = json!({"resolution": "refund"}))]
pub struct SettleClaimRequest {
    /// What the customer gets.
    pub resolution: OrderClaimResolution,
    /// For which of its pieces; for all that are open when left out.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Option<Vec<ClaimLine>>,
    /// Why, in words.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
    /// Whether it has been paid out already, where it goes back by hand.
    #[serde(default)]
    pub paid_out: bool,
}

impl SettleClaimRequest {
    pub(super) fn settling(&self) -> Result<Settling> {
        Ok(Settling {
            resolution: self.resolution,
            lines: self.lines.as_deref().map(checked).transpose()?,
            reason: self.reason.as_ref().map(ToString::to_string),
            paid_out: self.paid_out,
        })
    }
}

/// Settle a claim
///
/// All of it, or some of its pieces, each once: their share of what was paid goes back, or they are sent again from wherever they are to be had.
/// Where more goes back than one person gives back alone (`second_person` of the channel) nothing is settled yet: the answer is 202 with the
/// request that somebody else approves.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(OrderClaimId), Path)), request_body = SettleClaimRequest,
    security(("token" = ["orders:write"])), responses((status = 200, body = OrderClaimDetail), (status = 202, body = CountersignRequest)))]
#[post("/claims/{id}/settle")]
async fn settle_claim(call: Call, path: RefPath<OrderClaimId>, body: Body<SettleClaimRequest>) -> Result<Reply> {
    let (actor, now, id) = (call.allow(Scope::OrdersWrite)?.clone(), call.now, path.0);
    let locations = call.snapshot::<Locations>().await?;
    let made = SettleIds {
        return_id: Id::new(),
        number: format!("R{}", call.state.db.next_number("returns").await?),
        booking: Fresh::new(),
        event: Id::new(),
    };
    let (how, asked, ids) = (body.settling()?, body.value.clone(), (Id::new(), Id::new()));
    call.command(&body.fingerprint, move |tx| {
        let done = countersign::or_ask(
            tx,
            (now, &actor),
            ids,
            |tx| service::settle(tx, (now, &actor), &made, id, (&how, &locations)),
            |tx| second::wanted(tx, &actor, (id, &asked)),
        )?;
        match done {
            Passed::Done(claim) => answer(claim),
            Passed::Waits(request) => request.accepted(),
        }
    })
    .await
}

/// Why a claim is refused.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderClaimRefusal, example = json!({"reason": "the parcel was handed over undamaged"}))]
pub struct RejectClaimRequest {
    /// Why.
    #[schema(value_type = String)]
    pub reason: Note<500>,
}

/// Refuse a claim
///
/// Its pieces can be claimed, or sent back, again.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(OrderClaimId), Path)), request_body = RejectClaimRequest,
    security(("token" = ["orders:write"])), responses((status = 200, body = OrderClaimDetail)))]
#[post("/claims/{id}/reject")]
async fn reject_claim(call: Call, path: RefPath<OrderClaimId>, body: Body<RejectClaimRequest>) -> Result<Reply> {
    let (actor, now, event, id) = (call.allow(Scope::OrdersWrite)?.clone(), call.now, Id::new(), path.0);
    let reason = body.reason.to_string();
    call.command(&body.fingerprint, move |tx| answer(service::reject(tx, (now, &actor), event, id, &reason)?)).await
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(claim_own).service(own_claims);
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(open_claim).service(order_claims).service(read_claim).service(settle_claim).service(reject_claim);
}

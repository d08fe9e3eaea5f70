//! Routes of claims.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::{
    claims,
    model::{ClaimCommand, ClaimState, Resolution, ShipmentClaim},
};
use crate::{
    db::Tx,
    error::Result,
    fulfilment::Fresh,
    http::{Body, Call, List, Mount, Page, RefPath, Reply},
    kernel::{Action, Instant, Scope, ids::ShipmentId, text::Note},
    stock::Locations,
};

/// Which claims.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ClaimQuery {
    /// In one state; the open ones, unless told.
    #[param(inline)]
    pub state: Option<ClaimState>,
}

/// List the claims
///
/// Parcels that are lost or come back, the oldest first.
#[utoipa::path(tag = "ship", params(ClaimQuery), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = Page<ShipmentClaim>)))]
#[get("/shipment-claims")]
async fn list_shipment_claims(call: Call, query: List<ClaimQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentRead)?.clone();
    let state = query.filter.state.unwrap_or(ClaimState::Open);
    let read = move |tx: &mut Tx, after: Option<(i64, ShipmentId)>, limit| {
        claims::page(tx, &actor, state, after.map(|(since, id)| (Instant::from_micros(since), id)), limit)
    };
    query.answer(&call, |claim: &ShipmentClaim| (claim.since.micros(), claim.shipment_id), read).await
}

/// A claim, and what can be done with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ClaimDetail {
    /// It.
    #[serde(flatten)]
    pub claim: ShipmentClaim,
    /// What can be done now.
    pub actions: Vec<Action>,
}

impl From<ShipmentClaim> for ClaimDetail {
    fn from(claim: ShipmentClaim) -> Self {
        let settle = claim.state.apply(ClaimCommand::Settle).map(|_| ());
        Self { claim, actions: vec![Action::of(ClaimCommand::Settle.as_str(), settle)] }
    }
}

/// Read a shipment's claim
#[utoipa::path(tag = "ship", params(("id" = inline(ShipmentId), Path)), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = ClaimDetail)))]
#[get("/shipments/{id}/claim")]
async fn read_shipment_claim(call: Call, path: RefPath<ShipmentId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::FulfilmentRead)?.clone());
    let found = ClaimDetail::from(call.read(move |tx| claims::get(tx, &actor, id)).await?);
    Ok(Reply::ok(&found)?.version(found.claim.version))
}

/// How somebody has seen to a parcel that did not arrive.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"resolution": "refunded", "note": "carrier's case 4711"}))]
pub struct SettleRequest {
    /// How.
    #[schema(inline)]
    pub resolution: Resolution,
    /// What to remember.
    #[schema(value_type = Option<String>)]
    pub note: Option<Note<1000>>,
}

/// Settle a shipment's claim
///
/// Notes how somebody has seen to it. The goods of a lost parcel that are `reshipped` are allocated anew where they are to be had, and
/// fulfilment orders are opened for them: refused where there are too few. What is refunded or received back is booked by its own
/// command.
#[utoipa::path(tag = "ship", params(("id" = inline(ShipmentId), Path)), request_body = SettleRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = ClaimDetail)))]
#[post("/shipments/{id}/claim/settle")]
async fn settle_shipment_claim(call: Call, path: RefPath<ShipmentId>, body: Body<SettleRequest>) -> Result<Reply> {
    let (id, now, actor) = (path.0, call.now, call.allow(Scope::FulfilmentWrite)?.clone());
    let (resolution, note) = (body.resolution, body.note.as_ref().map(ToString::to_string));
    let (fresh, locations) = (Fresh::new(), call.snapshot::<Locations>().await?);
    call.command(&body.fingerprint, move |tx| {
        let how = (resolution, note.clone(), &*locations);
        let claim = ClaimDetail::from(claims::settle(tx, now, &actor, &fresh, id, how)?);
        Ok(Reply::ok(&claim)?.version(claim.claim.version))
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_shipment_claims).service(read_shipment_claim).service(settle_shipment_claim);
}

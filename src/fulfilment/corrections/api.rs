//! Routes that take back what was booked wrongly.

use actix_web::post;
use serde::Deserialize;

use super::service::{self, Correct};
use crate::{
    db::Tx,
    error::Result,
    fulfilment::{
        api::{FulfilmentDetail, checked_lines},
        ids::Fresh,
        model::{Command, Pieces, Shipment, ShipmentCommand},
    },
    http::{Body, Call, Mount, RefPath, Reply},
    kernel::{
        Scope,
        ids::{FulfilmentOrderId, ShipmentId},
        text::Note,
    },
};

/// What was booked wrongly, and why it is taken back.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "the wrong box was scanned"}))]
pub struct TakeBackRequest {
    /// Which pieces; all that can be when absent.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Option<Vec<Pieces>>,
    /// Why.
    #[schema(value_type = String)]
    pub reason: Note<500>,
}

async fn taken_back(call: Call, id: FulfilmentOrderId, command: Command, body: Body<TakeBackRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    checked_lines(body.lines.as_ref())?;
    let (lines, reason) = (body.lines.clone(), body.reason.to_string());
    let (now, fresh) = (call.now, Fresh::new());
    let run = move |tx: &mut Tx| {
        let changed = service::take_back(tx, now, &actor, &fresh, id, (command, lines.as_deref(), &reason))?;
        let version = changed.version;
        Ok(Reply::ok(&FulfilmentDetail::from(changed))?.version(version))
    };
    call.command(&body.fingerprint, run).await
}

/// Take a pick back
///
/// Notes that pieces were not picked after all, or have been put back on the shelf. What was in a parcel is taken out of it with
/// that.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = TakeBackRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = FulfilmentDetail)))]
#[post("/fulfilment-orders/{id}/unpick")]
async fn unpick(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<TakeBackRequest>) -> Result<Reply> {
    taken_back(call, path.0, Command::Unpick, body).await
}

/// Take a pack back
///
/// Notes that pieces are in no parcel after all. They stay picked.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = TakeBackRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = FulfilmentDetail)))]
#[post("/fulfilment-orders/{id}/unpack")]
async fn unpack(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<TakeBackRequest>) -> Result<Reply> {
    taken_back(call, path.0, Command::Unpack, body).await
}

crate::words! {
    /// What is taken back of a shipment.
    pub enum CorrectionKind {
        /// It has not left.
        NotShipped = "not_shipped",
        /// It has not arrived.
        NotDelivered = "not_delivered",
    }
}

/// What was booked wrongly of a shipment, and why it is taken back.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "not_shipped", "reason": "it is still on the dock"}))]
pub struct CorrectShipmentRequest {
    /// What is taken back.
    pub kind: CorrectionKind,
    /// Why.
    #[schema(value_type = String)]
    pub reason: Note<500>,
}

/// Correct a shipment
///
/// Takes back that it has left, or that it has arrived. What has not left lies packed at its location again and is its order's; it can
/// be shipped once more. What was captured for it stays captured and counts for the next parcel. The shipment stays as `corrected`,
/// with the reason, and its tracking number goes on naming the order.
#[utoipa::path(tag = "ship", params(("id" = inline(ShipmentId), Path)), request_body = CorrectShipmentRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = Shipment)))]
#[post("/shipments/{id}/correct")]
async fn correct_shipment(call: Call, path: RefPath<ShipmentId>, body: Body<CorrectShipmentRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let command = match body.kind {
        CorrectionKind::NotShipped => ShipmentCommand::Unship,
        CorrectionKind::NotDelivered => ShipmentCommand::Undeliver,
    };
    let what = Correct { command, reason: body.reason.to_string() };
    let (id, now, fresh) = (path.0, call.now, Fresh::new());
    call.command(&body.fingerprint, move |tx| Reply::ok(&service::correct(tx, now, &actor, &fresh, id, &what)?)).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(unpick).service(unpack).service(correct_shipment);
}

//! Routes of orders to suppliers and of shipments that are announced. What is done when they come stands with the dock
//! (`crossdock::receiving`).

use actix_web::{get, post};
use serde::Serialize;

use super::{
    forms::{Close, InboundQuery, NewInbound, NewPurchaseOrder, PurchaseQuery},
    model::{InboundCommand, InboundShipment, PurchaseCommand, PurchaseOrder},
    purchase, service,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    http::{Body, Call, List, Mount, NoBody, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Action, Id, Scope,
        ids::{InboundShipmentId, LocationId, PurchaseOrderId},
    },
    stock::Locations,
};

/// A purchase order, and what can be done with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PurchaseDetail {
    /// It.
    #[serde(flatten)]
    purchase_order: PurchaseOrder,
    /// What can be done now.
    actions: Vec<Action>,
}

impl From<PurchaseOrder> for PurchaseDetail {
    fn from(purchase_order: PurchaseOrder) -> Self {
        // Receiving is an inbound shipment's.
        let own = [PurchaseCommand::Order, PurchaseCommand::Close, PurchaseCommand::Cancel];
        let action = |command: PurchaseCommand| Action::of(command.as_str(), purchase_order.state.takes(command));
        let actions = own.map(action).to_vec();
        Self { purchase_order, actions }
    }
}

/// An inbound shipment, and what can be done with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::fulfilment) struct InboundDetail {
    /// It.
    #[serde(flatten)]
    inbound_shipment: InboundShipment,
    /// What can be done now.
    actions: Vec<Action>,
}

impl From<InboundShipment> for InboundDetail {
    fn from(inbound_shipment: InboundShipment) -> Self {
        let action = |command: &InboundCommand| Action::of(command.as_str(), inbound_shipment.state.takes(*command));
        let actions = InboundCommand::ALL.iter().map(action).collect();
        Self { inbound_shipment, actions }
    }
}

/// Write a purchase order
///
/// It is a draft until it is ordered.
#[utoipa::path(tag = "receive goods", request_body = NewPurchaseOrder, security(("token" = ["stock:write"])),
    responses((status = 201, body = PurchaseDetail)))]
#[post("/purchase-orders")]
async fn create_purchase_order(call: Call, body: Body<NewPurchaseOrder>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    let (id, now, new, locations) = (Id::new(), call.now, body.value.clone(), call.snapshot::<Locations>().await?);
    call.command(&body.fingerprint, move |tx| {
        let made = PurchaseDetail::from(purchase::create(tx, (now, &actor), &locations, id, &new)?);
        let version = made.purchase_order.version;
        Ok(Reply::created(&made)?.version(version).location(format!("/v1/ops/purchase-orders/{id}")))
    })
    .await
}

/// List the purchase orders
///
/// The newest first.
#[utoipa::path(tag = "receive goods", params(PurchaseQuery), security(("token" = ["stock:read"])),
    responses((status = 200, body = Page<PurchaseOrder>)))]
#[get("/purchase-orders")]
async fn list_purchase_orders(call: Call, query: List<PurchaseQuery>) -> Result<Reply> {
    let (actor, state) = (call.allow(Scope::StockRead)?.clone(), query.filter.state);
    let read = move |tx: &mut Tx, before, limit| purchase::page(tx, &actor, state, before, limit);
    query.answer(&call, |order: &PurchaseOrder| order.id, read).await
}

/// Read a purchase order
#[utoipa::path(tag = "receive goods", params(("id" = inline(PurchaseOrderId), Path)), security(("token" = ["stock:read"])),
    responses((status = 200, body = PurchaseDetail)))]
#[get("/purchase-orders/{id}")]
async fn read_purchase_order(call: Call, path: RefPath<PurchaseOrderId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::StockRead)?.clone());
    let found = call.read(move |tx| purchase::find(tx, &actor, id)).await?;
    let version = found.version;
    Ok(Reply::ok(&PurchaseDetail::from(found))?.version(version))
}

async fn purchase_command(
    call: Call,
    fingerprint: &Fingerprint,
    id: PurchaseOrderId,
    command: PurchaseCommand,
    reason: Option<String>,
) -> Result<Reply> {
    let (actor, now, event) = (call.allow(Scope::StockWrite)?.clone(), call.now, Id::new());
    call.command(fingerprint, move |tx| {
        let order = purchase::command(tx, (now, &actor), event, id, command, reason.as_deref())?;
        let version = order.version;
        Ok(Reply::ok(&PurchaseDetail::from(order))?.version(version))
    })
    .await
}

/// Order from the supplier
///
/// From now on it is expected, and shipments of it can be announced.
#[utoipa::path(tag = "receive goods", params(("id" = inline(PurchaseOrderId), Path)), security(("token" = ["stock:write"])),
    responses((status = 200, body = PurchaseDetail)))]
#[post("/purchase-orders/{id}/order")]
async fn order_purchase_order(call: Call, path: RefPath<PurchaseOrderId>, _body: NoBody) -> Result<Reply> {
    purchase_command(call, &Fingerprint::none(), path.0, PurchaseCommand::Order, None).await
}

/// Close a purchase order
///
/// No more of it is expected. What is announced already can still be received.
#[utoipa::path(tag = "receive goods", params(("id" = inline(PurchaseOrderId), Path)), request_body = Close,
    security(("token" = ["stock:write"])), responses((status = 200, body = PurchaseDetail)))]
#[post("/purchase-orders/{id}/close")]
async fn close_purchase_order(call: Call, path: RefPath<PurchaseOrderId>, body: Body<Close>) -> Result<Reply> {
    let reason = Some(body.value.reason.to_string());
    purchase_command(call, &body.fingerprint, path.0, PurchaseCommand::Close, reason).await
}

/// Cancel a purchase order
///
/// Before anything of it has come.
#[utoipa::path(tag = "receive goods", params(("id" = inline(PurchaseOrderId), Path)), request_body = Close,
    security(("token" = ["stock:write"])), responses((status = 200, body = PurchaseDetail)))]
#[post("/purchase-orders/{id}/cancel")]
async fn cancel_purchase_order(call: Call, path: RefPath<PurchaseOrderId>, body: Body<Close>) -> Result<Reply> {
    let reason = Some(body.value.reason.to_string());
    purchase_command(call, &body.fingerprint, path.0, PurchaseCommand::Cancel, reason).await
}

async fn announce(call: Call, body: Body<NewInbound>, surface: &'static str) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    let (id, event, now, new) = (Id::new(), Id::new(), call.now, body.value.clone());
    let locations = call.snapshot::<Locations>().await?;
    call.command(&body.fingerprint, move |tx| {
        let made = service::announce(tx, (now, &actor), &locations, (id, event), &new)?;
        let version = made.version;
        let reply = Reply::created(&InboundDetail::from(made))?.version(version);
        Ok(reply.location(format!("{surface}/inbound-shipments/{id}")))
    })
    .await
}

/// Announce a shipment
///
/// What is expected at a location, of a purchase order or of none; lines with an `sscc` are in that handling unit.
#[utoipa::path(tag = "receive goods", request_body = NewInbound, security(("token" = ["stock:write"])),
    responses((status = 201, body = InboundDetail)))]
#[post("/inbound-shipments")]
async fn announce_inbound_shipment(call: Call, body: Body<NewInbound>) -> Result<Reply> {
    announce(call, body, "/v1/ops").await
}

/// Announce a shipment from an ERP or WMS
///
/// What is expected at a location. Send an `Idempotency-Key`: a handling unit is known once.
#[utoipa::path(tag = "import", request_body(content = NewInbound, example = json!({
        "reference": "DN-89", "location": "demo-berlin", "expected_at": "2026-12-02T08:00:00Z",
        "lines": [{"sku": "MUG-KONTOR", "quantity": 24, "sscc": "106141412345678915"}]
    })), security(("token" = ["stock:write"])),
    responses((status = 201, body = InboundDetail)))]
#[post("/inbound-shipments")]
async fn import_inbound_shipment(call: Call, body: Body<NewInbound>) -> Result<Reply> {
    announce(call, body, "/v1/ops").await
}

/// List the inbound shipments
///
/// The newest first.
#[utoipa::path(tag = "receive goods", params(InboundQuery), security(("token" = ["stock:read"])),
    responses((status = 200, body = Page<InboundShipment>)))]
#[get("/inbound-shipments")]
async fn list_inbound_shipments(call: Call, query: List<InboundQuery>) -> Result<Reply> {
    let (actor, state) = (call.allow(Scope::StockRead)?.clone(), query.filter.state);
    let location: Option<LocationId> = match &query.filter.location {
        None => None,
        Some(reference) => {
            let locations = call.snapshot::<Locations>().await?;
            let found = locations.by_ref(reference).filter(|location| actor.sees_location(location.id));
            Some(found.ok_or_else(|| Error::not_found("location").at("location"))?.id)
        }
    };
    let own = location.map(|location| vec![location]).or_else(|| actor.locations().map(<[_]>::to_vec));
    let read = move |tx: &mut Tx, before, limit| service::page(tx, (state, own.as_deref()), before, limit);
    query.answer(&call, |one: &InboundShipment| one.id, read).await
}

/// Read an inbound shipment
#[utoipa::path(tag = "receive goods", params(("id" = inline(InboundShipmentId), Path)), security(("token" = ["stock:read"])),
    responses((status = 200, body = InboundDetail)))]
#[get("/inbound-shipments/{id}")]
async fn read_inbound_shipment(call: Call, path: RefPath<InboundShipmentId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::StockRead)?.clone());
    let found = call.read(move |tx| service::get(tx, &actor, id)).await?;
    let version = found.version;
    Ok(Reply::ok(&InboundDetail::from(found))?.version(version))
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_purchase_order).service(list_purchase_orders).service(read_purchase_order);
    config.service(order_purchase_order).service(close_purchase_order).service(cancel_purchase_order);
    config.service(announce_inbound_shipment).service(list_inbound_shipments).service(read_inbound_shipment);
}

/// The routes of the integration surface.
pub fn integration(config: &mut Mount<'_>) {
    config.service(import_inbound_shipment);
}

//! What the events of goods on their way in say.

use serde::Serialize;

use super::model::{InboundShipment, PurchaseOrder};
use crate::{
    db::Tx,
    error::Result,
    events::{self, EventSchema, NewEvent, Payload},
    kernel::{Actor, Instant, ids::EventId},
};

pub(super) const ANNOUNCED: &str = "inbound_shipment.announced.v1";
pub(super) const RESCHEDULED: &str = "inbound_shipment.rescheduled.v1";
pub(super) const ARRIVED: &str = "inbound_shipment.arrived.v1";
pub(super) const RECEIVED: &str = "inbound_shipment.received.v1";
pub(super) const CLOSED: &str = "inbound_shipment.closed.v1";
pub(super) const CANCELLED: &str = "inbound_shipment.cancelled.v1";
pub(super) const CORRECTED: &str = "inbound_shipment.corrected.v1";
pub(super) const ORDERED: &str = "purchase_order.ordered.v1";
pub(super) const PURCHASE_RECEIVED: &str = "purchase_order.received.v1";
pub(super) const PURCHASE_CLOSED: &str = "purchase_order.closed.v1";
pub(super) const PURCHASE_CANCELLED: &str = "purchase_order.cancelled.v1";
pub(super) const PURCHASE_CORRECTED: &str = "purchase_order.corrected.v1";

/// Pieces of a line that came.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = InboundPieces)]
pub(super) struct Moved {
    pub line_no: i32,
    pub sku: String,
    pub quantity: i64,
}

/// An inbound shipment, and what came of it now, or has not come after all.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = InboundShipmentEvent)]
struct Inbound<'a> {
    #[serde(flatten)]
    shipment: &'a InboundShipment,
    /// What came now; where it is corrected, what has not come after all.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    moved: &'a [Moved],
}

/// What the events of this part carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    let inbound = [ANNOUNCED, RESCHEDULED, ARRIVED, RECEIVED, CLOSED, CANCELLED, CORRECTED];
    let purchases = [ORDERED, PURCHASE_RECEIVED, PURCHASE_CLOSED, PURCHASE_CANCELLED, PURCHASE_CORRECTED];
    let inbound = inbound.into_iter().map(EventSchema::of::<Inbound<'_>>);
    inbound.chain(purchases.into_iter().map(EventSchema::of::<PurchaseOrder>)).collect()
}

/// Tells of a shipment that was saved at its version.
pub(super) fn tell(
    tx: &mut Tx,
    (now, occurred_at): (Instant, Instant),
    actor: &Actor,
    (id, kind): (EventId, &'static str),
    shipment: &InboundShipment,
    moved: &[Moved],
) -> Result<()> {
    let event = NewEvent {
        id,
        stream: format!("inbound:{}", shipment.id),
        aggregate: "inbound_shipment",
        aggregate_id: shipment.id.to_string(),
        aggregate_version: shipment.version,
        channel: None,
        kind,
        occurred_at,
        payload: Payload::of(&Inbound { shipment, moved })?,
        subject: None,
    };
    events::append(tx, actor, now, vec![event])
}

/// Tells of a purchase order that was saved at its version.
pub(super) fn tell_purchase(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (id, kind): (EventId, &'static str),
    order: &PurchaseOrder,
) -> Result<()> {
    let event = NewEvent {
        id,
        stream: format!("purchase:{}", order.id),
        aggregate: "purchase_order",
        aggregate_id: order.id.to_string(),
        aggregate_version: order.version,
        channel: None,
        kind,
        occurred_at: now,
        payload: Payload::of(order)?,
        subject: None,
    };
    events::append(tx, actor, now, vec![event])
}

//! What the log is told of requests for approval.

use serde::Serialize;
use utoipa::ToSchema;

use super::model::{ApprovalRequest, CreditApproval};
use crate::{
    db::Tx,
    error::Result,
    events::{self, EventSchema, NewEvent, Payload},
    kernel::{Actor, Instant, ids::EventId},
};

/// Somebody asks for approval: those who may approve want to know.
pub(super) const REQUESTED: &str = "approval_request.created.v1";
/// It was approved, rejected, withdrawn, ordered, or nobody has decided in time.
pub(super) const UPDATED: &str = "approval_request.updated.v1";

/// A request for approval as events tell of it; what people wrote is not told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ToldApprovalRequest)]
struct Told {
    #[serde(flatten)]
    request: ApprovalRequest,
}

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    [REQUESTED, UPDATED].into_iter().map(EventSchema::of::<Told>).collect()
}

/// Tells of a request.
pub(super) fn tell(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    id: EventId,
    kind: &'static str,
    request: &ApprovalRequest,
) -> Result<()> {
    let credit = request.credit.clone().map(|credit| CreditApproval { note: None, ..credit });
    let told = Told { request: ApprovalRequest { message: None, credit, ..request.clone() } };
    let event = NewEvent {
        id,
        stream: request.cart_id.to_string(),
        aggregate: "approval_request",
        aggregate_id: request.id.to_string(),
        aggregate_version: request.version,
        channel: Some(request.channel_id),
        kind,
        occurred_at: now,
        payload: Payload::of(&told)?,
        subject: Some(request.customer_id),
    };
    events::append(tx, actor, now, vec![event])
}

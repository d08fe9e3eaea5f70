//! What the events of the warehouse say.

use serde::Serialize;

use super::model::{FulfilmentOrder, Shipment, ShippedLine, Step};
use crate::{
    customers::Address,
    db::Json,
    error::Result,
    events::{EventSchema, Payload},
    kernel::ids::FulfilmentOrderId,
    orders::{self, OrderDocument},
};

/// The payload of a fulfilment order's events: it, and what was moved.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Progress<'a> {
    #[serde(flatten)]
    fulfilment_order: &'a FulfilmentOrder,
    moved: Vec<ShippedLine>,
}

/// The pieces that steps move, with their SKUs.
pub(super) fn pieces_of(
    fulfilment: &FulfilmentOrder,
    steps: &[(i32, Step)],
    count: fn(&Step) -> i64,
) -> Vec<ShippedLine> {
    let piece = |(line_no, step): &(i32, Step)| {
        let line = fulfilment.lines.iter().find(|line| line.line_no == *line_no)?;
        let (sku, quantity) = (line.sku.clone(), count(step));
        (quantity > 0).then_some(ShippedLine { line_no: *line_no, sku, quantity })
    };
    steps.iter().filter_map(piece).collect()
}

/// The payload of the events that tell a warehouse what it has to do, or need not do any more.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Work<'a> {
    #[serde(flatten)]
    fulfilment_order: &'a FulfilmentOrder,
    /// What need not be shipped any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    moved: Vec<ShippedLine>,
    /// How it is shipped: the shipping method's code.
    shipping_method: Option<&'a str>,
    /// Where to.
    ship_to: Option<&'a Address>,
}

/// What is personal in it.
#[derive(Debug, Serialize)]
struct PersonalWork<'a> {
    ship_to: Option<&'a Address>,
    #[serde(flatten)]
    named: Named<'a>,
}

/// What is personal in all events of a fulfilment order: a shopper may have put a name into the key of the delivery.
#[derive(Debug, Serialize)]
struct Named<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<Key<'a>>,
}

#[derive(Debug, Serialize)]
struct Key<'a> {
    key: &'a str,
}

impl<'a> Named<'a> {
    fn of(work: &'a FulfilmentOrder) -> Self {
        Self { delivery: work.delivery_key().map(|key| Key { key }) }
    }
}

/// What an event says of a fulfilment order: `document` writes it without what is personal.
pub(super) fn payload(
    work: &FulfilmentOrder,
    document: impl FnOnce(&FulfilmentOrder) -> Result<Json>,
) -> Result<Payload> {
    match work.delivery {
        None => Ok(Payload { data: document(work)?, personal: None }),
        Some(_) => {
            let personal = Json::of(&Named::of(work))?;
            Ok(Payload { data: document(&work.unnamed())?, personal: Some(personal) })
        }
    }
}

/// What an event says that tells a warehouse what it has to do for an order; `moved` is what it need not do any more.
///
/// # Errors
/// When it can not be written as JSON, which would be a defect.
pub fn work_payload(
    order: &OrderDocument,
    fulfilment_order: &FulfilmentOrder,
    moved: Vec<ShippedLine>,
) -> Result<Payload> {
    let delivery = order.delivery(fulfilment_order.delivery_key());
    let shipping_method = delivery.and_then(|delivery| delivery.method.as_deref());
    let ship_to = delivery.and_then(|delivery| delivery.address.as_ref());
    let personal = PersonalWork { ship_to, named: Named::of(fulfilment_order) };
    let bare = fulfilment_order.unnamed();
    Payload::with_personal(&Work { fulfilment_order: &bare, moved, shipping_method, ship_to: None }, &personal)
}

/// The type of the event that a location has work with an order.
pub const OPENED: &str = "fulfilment_order.opened.v1";
/// The type of the event that some or all of it need not be done.
pub(super) const CANCELLED: &str = "fulfilment_order.cancelled.v1";
/// The type of the event that nothing is to be done for a while.
pub(super) const HELD: &str = "fulfilment_order.held.v1";
/// The type of the event that a hold has ended.
pub(super) const RELEASED: &str = "fulfilment_order.released.v1";
/// The type of the event that pieces have gone to other fulfilment orders.
pub(super) const MOVED: &str = "fulfilment_order.moved.v1";
/// The type of the event that it is due at another time, or of another priority.
pub(super) const RESCHEDULED: &str = "fulfilment_order.rescheduled.v1";
/// The type of the event that somebody wants pieces not to be shipped.
pub(super) const CANCEL_REQUESTED: &str = "fulfilment_order.cancel_requested.v1";
/// The type of the event that the location does not agree to that.
pub(super) const CANCEL_REJECTED: &str = "fulfilment_order.cancel_rejected.v1";
/// The type of the event that a shop takes it on.
pub(super) const ACCEPTED: &str = "fulfilment_order.accepted.v1";
/// The type of the event that a shop leaves it to others, or has not answered in time.
pub(super) const DECLINED: &str = "fulfilment_order.declined.v1";
/// The type of the event that its goods go elsewhere than was said: where to is in it, as in [`OPENED`].
pub(super) const REDIRECTED: &str = "fulfilment_order.redirected.v1";
/// The type of the event that it is ready for its customer, who picks it up.
pub(super) const READY: &str = "fulfilment_order.ready_to_collect.v1";
/// The type of the event that a pick or a pack was taken back.
pub(super) const TAKEN_BACK: &str = "fulfilment_order.corrected.v1";
/// The type of the event that a shipment, or its arrival, was taken back.
pub(super) const CORRECTED: &str = "shipment.corrected.v1";
const PICKED: &str = "fulfilment_order.picked.v1";
const PACKED: &str = "fulfilment_order.packed.v1";

/// The payload of the events that tell of what else has become of a fulfilment order: it, and what changed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = FulfilmentOrderChange)]
struct Change<'a> {
    #[serde(flatten)]
    fulfilment_order: &'a FulfilmentOrder,
    /// The pieces it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    moved: Vec<ShippedLine>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// The fulfilment orders that the pieces have gone to.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    moved_to: &'a [FulfilmentOrderId],
}

/// What an event says of a fulfilment order with which something else was done than its work.
pub(super) fn change(
    fulfilment_order: &FulfilmentOrder,
    moved: Vec<ShippedLine>,
    reason: Option<&str>,
    moved_to: &[FulfilmentOrderId],
) -> Result<Payload> {
    payload(fulfilment_order, |fulfilment_order| Json::of(&Change { fulfilment_order, moved, reason, moved_to }))
}

/// The events of what has been picked and packed, with what was moved in each.
pub(super) fn progressed(fulfilment: &FulfilmentOrder, steps: &[(i32, Step)]) -> Result<Vec<(&'static str, Payload)>> {
    let picked = pieces_of(fulfilment, steps, |step| step.picked);
    let packed = pieces_of(fulfilment, steps, |step| step.packed);
    let both = [(PICKED, picked), (PACKED, packed)].into_iter().filter(|(_, moved)| !moved.is_empty());
    let told = |moved| payload(fulfilment, |fulfilment_order| Json::of(&Progress { fulfilment_order, moved }));
    both.map(|(kind, moved)| Ok((kind, told(moved)?))).collect()
}

/// The payload of a shipment's events.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Parcel<'a> {
    #[serde(flatten)]
    pub shipment: &'a Shipment,
    pub order_number: &'a str,
    pub order_state: orders::OrderState,
    pub payment_state: orders::PaymentStatus,
    pub order_fulfilment_state: orders::FulfilmentStatus,
}

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    use super::{
        cancel::Cancelled, crossdock, dropship, inbound, jobs::Moved, pickups, promises, returns::Return, till,
    };
    let own = vec![
        EventSchema::of::<Work<'_>>(OPENED),
        EventSchema::of::<Work<'_>>(CANCELLED),
        EventSchema::of::<Progress<'_>>(PICKED),
        EventSchema::of::<Progress<'_>>(PACKED),
        EventSchema::of::<Change<'_>>(HELD),
        EventSchema::of::<Change<'_>>(RELEASED),
        EventSchema::of::<Change<'_>>(MOVED),
        EventSchema::of::<Change<'_>>(RESCHEDULED),
        EventSchema::of::<Work<'_>>(REDIRECTED),
        EventSchema::of::<Change<'_>>(CANCEL_REQUESTED),
        EventSchema::of::<Change<'_>>(CANCEL_REJECTED),
        EventSchema::of::<Change<'_>>(ACCEPTED),
        EventSchema::of::<Change<'_>>(DECLINED),
        EventSchema::of::<Change<'_>>(TAKEN_BACK),
        EventSchema::of::<Change<'_>>(READY),
        EventSchema::of::<Parcel<'_>>(CORRECTED),
        EventSchema::of::<Parcel<'_>>("shipment.shipped.v1"),
        EventSchema::of::<Parcel<'_>>("shipment.scanned.v1"),
        EventSchema::of::<Parcel<'_>>("shipment.delivered.v1"),
        EventSchema::of::<Parcel<'_>>("shipment.in_transit.v1"),
        EventSchema::of::<Parcel<'_>>("shipment.out_for_delivery.v1"),
        EventSchema::of::<Parcel<'_>>("shipment.attempt_failed.v1"),
        EventSchema::of::<Parcel<'_>>("shipment.returned_to_sender.v1"),
        EventSchema::of::<Parcel<'_>>("shipment.lost.v1"),
        EventSchema::of::<Cancelled<'_>>("order.line_cancelled.v1"),
        EventSchema::of::<Cancelled<'_>>("order.cancelled.v1"),
        EventSchema::of::<Moved<'_>>("payment.captured.v1"),
        EventSchema::of::<Moved<'_>>("payment.voided.v1"),
        EventSchema::of::<Moved<'_>>("payment.refunded.v1"),
        EventSchema::of::<Moved<'_>>("payment.operation_failed.v1"),
        EventSchema::of::<Return>("return.received.v1"),
    ];
    let parts = [
        dropship::event_schemas(),
        inbound::event_schemas(),
        crossdock::event_schemas(),
        promises::event_schemas(),
        pickups::event_schemas(),
        till::event_schemas(),
    ];
    [own, parts.concat()].concat()
}

pub(super) fn parcel(order: &OrderDocument, shipment: &Shipment) -> Result<Payload> {
    Payload::of(&Parcel {
        shipment,
        order_number: &order.number,
        order_state: order.state,
        payment_state: order.payment_state,
        order_fulfilment_state: order.fulfilment_state,
    })
}

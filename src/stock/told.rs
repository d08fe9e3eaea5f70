//! What is told of a level that has changed otherwise than by an adjustment: goods that left, goods that came back, pieces
//! that are kept back. What orders and carts set aside is not told here: orders are told of themselves, and a level that
//! many buy from would be told of with every one of them.

use serde::Serialize;

use super::model::{Level, MovementKind, level_name, level_stream};
use crate::{
    db::Tx,
    error::Result,
    events::{self, EventSchema, NewEvent, Payload},
    kernel::{
        Actor, Instant,
        ids::{EventId, LocationId, VariantId},
    },
};

crate::words! {
    /// Why a level has changed.
    pub enum ChangeKind {
        /// Goods of an order have left.
        Shipment = "shipment",
        /// A customer has sent goods back that can be sold again.
        Return = "return",
        /// Another number of pieces is kept back.
        Safety = "safety",
        /// Somebody counted, received or wrote off.
        Adjustment = "adjustment",
        /// An order took it.
        Allocation = "allocation",
        /// An order gave it back.
        Deallocation = "deallocation",
        /// Goods of an inbound shipment came.
        Receipt = "receipt",
        /// They left for another location.
        TransferOut = "transfer_out",
        /// They came from another location.
        TransferIn = "transfer_in",
        /// The shelf was counted.
        Count = "count",
        /// They were thrown away.
        Scrap = "scrap",
        /// Something booked before was wrong, and is taken back.
        Correction = "correction",
        /// The level was set to what its movements say.
        Repair = "repair",
        /// Another system said how many there were.
        Snapshot = "snapshot",
        /// Another number of pieces may be sold beyond what is there.
        Beyond = "beyond",
        /// A lot can be sold no more, or again.
        Withheld = "withheld",
        /// Pieces belong to another lot than was thought.
        LotChange = "lot_change",
        /// They were taken from the shelf for an order: of that no event tells here.
        Pick = "pick",
    }
}

impl From<MovementKind> for ChangeKind {
    fn from(kind: MovementKind) -> Self {
        match kind {
            MovementKind::Adjustment => Self::Adjustment,
            MovementKind::Allocation => Self::Allocation,
            MovementKind::Deallocation => Self::Deallocation,
            MovementKind::Shipment => Self::Shipment,
            MovementKind::Return => Self::Return,
            MovementKind::Receipt => Self::Receipt,
            MovementKind::TransferOut => Self::TransferOut,
            MovementKind::TransferIn => Self::TransferIn,
            MovementKind::Count => Self::Count,
            MovementKind::Scrap => Self::Scrap,
            MovementKind::Correction => Self::Correction,
            MovementKind::Repair => Self::Repair,
            MovementKind::Snapshot => Self::Snapshot,
            MovementKind::LotChange => Self::LotChange,
            MovementKind::Pick => Self::Pick,
        }
    }
}

const CHANGED: &str = "stock.changed.v1";

/// What `stock.changed.v1` says.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct StockChanged<'a> {
    /// Why. More words may come.
    kind: ChangeKind,
    sku: &'a str,
    variant_id: VariantId,
    location_id: LocationId,
    /// The location's code.
    location: &'a str,
    /// By how much what lies on hand has changed.
    change: i64,
    /// How much lies there now.
    on_hand: i64,
    /// How much of it is an order's.
    allocated: i64,
    /// How much of it a cart waits for.
    reserved: i64,
    /// How much of it is kept back.
    safety: i64,
    /// How much of it can not be sold: of lots that are blocked, recalled or expired.
    withheld: i64,
    /// How much may be sold beyond what is there.
    beyond: i64,
    /// What is left to sell.
    available: i64,
    /// The order whose goods left or came back, or the return that has none.
    reference: Option<&'a str>,
}

/// The schema of the event.
pub(super) fn event_schema() -> EventSchema {
    EventSchema::of::<StockChanged<'_>>(CHANGED)
}

/// Why levels have changed, and when.
#[derive(Clone, Copy)]
pub(super) struct Cause<'a> {
    pub kind: ChangeKind,
    pub reference: Option<&'a str>,
    pub occurred_at: Instant,
}

/// A level as it is now, with what it is called.
pub(super) struct Changed<'a> {
    pub event: EventId,
    pub sku: &'a str,
    pub code: &'a str,
    pub level: &'a Level,
    /// Added to `on_hand`.
    pub change: i64,
}

/// Tells of changed levels, all with one statement. Call it after they have been moved: their rows are locked then.
pub(super) fn tell<'a>(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    cause: Cause<'_>,
    changed: impl Iterator<Item = Changed<'a>>,
) -> Result<()> {
    let event = |one: Changed<'_>| {
        let (sku, location, level) = (one.sku, one.code, one.level);
        let data = StockChanged {
            kind: cause.kind,
            sku,
            variant_id: level.variant,
            location_id: level.location,
            location,
            change: one.change,
            on_hand: level.on_hand,
            allocated: level.allocated,
            reserved: level.reserved,
            safety: level.safety,
            withheld: level.withheld,
            beyond: level.beyond,
            available: level.available(),
            reference: cause.reference,
        };
        Ok(NewEvent {
            id: one.event,
            stream: level_stream(sku, location),
            aggregate: "stock",
            aggregate_id: level_name(sku, location),
            aggregate_version: level.version,
            channel: None,
            kind: CHANGED,
            occurred_at: cause.occurred_at,
            payload: Payload::of(&data)?,
            subject: None,
        })
    };
    events::append(tx, actor, now, changed.map(event).collect::<Result<_>>()?)
}

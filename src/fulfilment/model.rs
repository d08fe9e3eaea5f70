//! What a warehouse does for an order: fulfilment orders, their lines' quantities, shipments. Pure.
//!
//! The quantities of the lines are the truth; the state of a fulfilment order is derived from them, and the transition
//! table says which commands a state takes at all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::states::{Command, FulfilmentState, TRANSITIONS, derive, mermaid};
use super::{holds::Hold, parcels::PackedUnit, tracking::Tracking};
use crate::{
    error::{Code, Error, Result},
    kernel::{
        Instant, Quantity,
        ids::{ChannelId, FulfilmentOrderId, LocationId, OrderId, ShipmentId, VariantId},
        text::neutral_key,
    },
    orders::{Block, Command as OrderCommand},
};

/// The quantities of one line of a fulfilment order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Counts {
    /// How many the location has to ship.
    pub quantity: i64,
    /// How many were taken from the shelf.
    pub picked: i64,
    /// How many of those are in a parcel.
    pub packed: i64,
    /// How many of those have left.
    pub shipped: i64,
    /// How many are not to be shipped any more, by this location.
    pub cancelled: i64,
    /// How many of those another fulfilment order of the order ships instead.
    #[serde(default)]
    pub moved: i64,
}

impl Counts {
    /// How many are still to be shipped.
    #[must_use]
    pub const fn open(&self) -> i64 {
        self.quantity - self.shipped - self.cancelled
    }

    /// How many a command can be done to.
    #[must_use]
    pub const fn left_for(&self, command: Command) -> i64 {
        match command {
            // What is picked stays where it is picked.
            C::Pick | C::Move => self.quantity - self.cancelled - self.picked,
            C::Pack => self.quantity - self.cancelled - self.packed,
            C::Ship | C::Cancel | C::Split | C::Merge => self.open(),
            C::Deliver | C::Unship | C::Undeliver | C::Reship => self.shipped,
            C::Unpick => self.picked - self.shipped,
            C::Unpack => self.packed - self.shipped,
            C::Hold | C::Release | C::Reschedule | C::RequestCancel | C::Accept | C::Decline => 0,
        }
    }

    /// What a command with so many pieces moves. Each step implies those before it; what is cancelled is taken first from
    /// what was not yet touched.
    ///
    /// # Errors
    /// `quantity_exceeded` when there are not so many left for it.
    pub fn step(&self, command: Command, pieces: i64) -> Result<Step> {
        let left = self.left_for(command);
        if !(1..=left).contains(&pieces) {
            let error = Error::problem(Code::QuantityExceeded, format!("only {left} are left to {command}"));
            return Err(error.with("left", left));
        }
        let mut step = Step::default();
        match command {
            C::Pick => step.picked = pieces,
            C::Pack => {
                step.packed = pieces;
                step.picked = (self.packed + pieces - self.picked).max(0);
            }
            C::Ship => {
                step.shipped = pieces;
                step.packed = (self.shipped + pieces - self.packed).max(0);
                step.picked = (self.packed + step.packed - self.picked).max(0);
            }
            C::Cancel | C::Move | C::Split | C::Merge => {
                step.cancelled = pieces;
                step.moved = if command == C::Cancel { 0 } else { pieces };
                let wanted = self.quantity - self.cancelled - pieces;
                step.picked = (wanted - self.picked).min(0);
                step.packed = (wanted - self.packed).min(0);
            }
            C::Unpick => {
                step.picked = -pieces;
                step.packed = (self.picked - pieces - self.packed).min(0);
            }
            C::Unpack => step.packed = -pieces,
            C::Unship => step.shipped = -pieces,
            C::Reship => {
                (step.picked, step.packed, step.shipped) = (-pieces, -pieces, -pieces);
                (step.cancelled, step.moved) = (pieces, pieces);
            }
            C::Deliver | C::Undeliver => {}
            C::Hold | C::Release | C::Reschedule | C::RequestCancel | C::Accept | C::Decline => {}
        }
        Ok(step)
    }

    /// The quantities after a step.
    #[must_use]
    pub const fn after(&self, step: &Step) -> Self {
        Self {
            quantity: self.quantity,
            picked: self.picked + step.picked,
            packed: self.packed + step.packed,
            shipped: self.shipped + step.shipped,
            cancelled: self.cancelled + step.cancelled,
            moved: self.moved + step.moved,
        }
    }

    /// The same with what a step took out of another fulfilment order: pieces keep what was done to them.
    #[must_use]
    pub const fn with_taken(&self, step: &Step) -> Self {
        Self {
            quantity: self.quantity + step.moved,
            picked: self.picked - step.picked,
            packed: self.packed - step.packed,
            shipped: self.shipped,
            cancelled: self.cancelled,
            moved: self.moved,
        }
    }
}

/// What a command adds to the quantities of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// Taken from the shelf, or put back.
    pub picked: i64,
    /// Put into a parcel, or taken out.
    pub packed: i64,
    /// Handed to the carrier.
    pub shipped: i64,
    /// Not to be shipped any more.
    pub cancelled: i64,
    /// Of those, what another fulfilment order ships instead.
    pub moved: i64,
}

impl Step {
    /// Both, one after the other.
    #[must_use]
    pub const fn and(&self, next: &Self) -> Self {
        Self {
            picked: self.picked + next.picked,
            packed: self.packed + next.packed,
            shipped: self.shipped + next.shipped,
            cancelled: self.cancelled + next.cancelled,
            moved: self.moved + next.moved,
        }
    }
}

/// A line of a fulfilment order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FulfilmentLine {
    /// The order's line.
    pub line_no: i32,
    /// What is shipped.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// The quantities.
    #[serde(flatten)]
    pub counts: Counts,
    /// Whether its stock is counted.
    pub tracked: bool,
}

/// What one location ships of one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FulfilmentOrder {
    /// Its id.
    pub id: FulfilmentOrderId,
    /// The order.
    pub order_id: OrderId,
    /// The order's number.
    pub order_number: String,
    /// Where it was sold.
    pub channel_id: ChannelId,
    /// Who ships it.
    pub location_id: LocationId,
    /// Where it stands. More states may come.
    pub state: FulfilmentState,
    /// Since when it has stood there.
    pub state_since: Instant,
    /// Rises with every change.
    pub version: i64,
    /// When it should have left: at the end of a working day of its location, by that one's `cut_off` and `handling_days`;
    /// where the channel has `due_hours`, so many hours after it was ordered. Of goods that are still to come it is counted from when
    /// they come, and moves with that.
    pub due_at: Instant,
    /// That somebody has said when it is due: then it does not move by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub due_by_hand: bool,
    /// Among what is due at once, the highest goes first.
    #[serde(default)]
    pub priority: i64,
    /// Why nothing of it is picked, packed and shipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// What its order, or one of its lines, is held for that keeps it from being shipped: that is released at the order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order_holds: Vec<Block>,
    /// Until when the location has to accept it; nothing is picked, packed and shipped before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_by: Option<Instant>,
    /// Until when it is kept for its customer, who picks it up: it is ready since it was packed. Absent where it is not ready, or shipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect_by: Option<Instant>,
    /// That it be cancelled, which the location has not answered yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_request: Option<CancelRequest>,
    /// That its location has declined to ship it: it waits for goods elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub declined: bool,
    /// What a picker has not found at its location: nothing of that is planned there for its order again until goods come there or somebody
    /// counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<Missed>,
    /// Which of the order's deliveries it is for; absent where the order has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<ForDelivery>,
    /// Until when its delivery has arrived, as it was promised; absent where nothing was, and where the order has one delivery: its
    /// promise is the order's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promised_until: Option<Instant>,
    /// The same as it was told last, where that was moved. What is taken out of it keeps it, so that the report counts by it.
    #[serde(skip)]
    pub told_until: Option<Instant>,
    /// For so many days goods of lots must still keep when they leave: as the channel asked when it was ordered, or the strategy that placed
    /// it, whichever is more; absent where they leave until they end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shelf_life_days: Option<i64>,
    /// Whose turn it is where goods are to come: when it would have been due, had all of it been there; absent where it is due then.
    #[serde(skip)]
    pub turn_at: Option<Instant>,
    /// When its supplier says that they ship it: it is due no sooner. Absent where they have not said, and of what we ship.
    #[serde(skip)]
    pub supplier_ships_at: Option<Instant>,
    /// The fulfilment orders that its pieces were taken out of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken_from: Vec<FulfilmentOrderId>,
    /// What is to be shipped.
    pub lines: Vec<FulfilmentLine>,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// An article that a picker has not found where it should lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = MissedArticle)]
pub struct Missed {
    /// What.
    pub variant_id: VariantId,
    /// When.
    pub at: Instant,
}

/// Which of an order's deliveries a fulfilment order is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ForDelivery {
    /// Its place among the order's deliveries, from 0.
    pub number: i32,
    /// Its key.
    pub key: String,
    /// The code of its shipping method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Whether it is picked up at the location.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pickup: bool,
}

/// That somebody wants pieces of a fulfilment order not to be shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = FulfilmentCancelRequest)]
pub struct CancelRequest {
    /// Which pieces; all that has not left when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pieces: Option<Vec<Pieces>>,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// Since when.
    pub at: Instant,
}

/// What is kept of a fulfilment order beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct FulfilmentDetails {
    pub cancel_request: Option<CancelRequest>,
    pub taken_from: Vec<FulfilmentOrderId>,
    pub declined: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<Missed>,
    pub delivery: Option<ForDelivery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shelf_life_days: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub due_by_hand: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supplier_ships_at: Option<Instant>,
}

impl FulfilmentOrder {
    pub(super) fn details(&self) -> FulfilmentDetails {
        let (cancel_request, taken_from) = (self.cancel_request.clone(), self.taken_from.clone());
        FulfilmentDetails {
            cancel_request,
            taken_from,
            declined: self.declined,
            missed: self.missed.clone(),
            delivery: self.delivery.clone(),
            shelf_life_days: self.shelf_life_days,
            due_by_hand: self.due_by_hand,
            supplier_ships_at: self.supplier_ships_at,
        }
    }

    /// The place of its delivery among the order's, from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.delivery.as_ref().and_then(|one| usize::try_from(one.number).ok()).unwrap_or_default()
    }

    /// The key of its delivery, where the order has several.
    #[must_use]
    pub fn delivery_key(&self) -> Option<&str> {
        self.delivery.as_ref().map(|one| one.key.as_str())
    }

    /// That somebody waits for an answer to whether it is cancelled: once all of it is cancelled or has left, nobody does.
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn asked_to_cancel(&self) -> Result<()> {
        match (&self.cancel_request, self.state.is_open()) {
            (None, _) => Err(Error::conflict("nobody has asked to cancel it")),
            (Some(_), true) => Ok(()),
            (Some(_), false) => {
                Err(Error::conflict(format!("the fulfilment order is {}: nothing is left to answer", self.state)))
            }
        }
    }

    /// The same with its delivery called by its place: the key may tell who has chosen it.
    #[must_use]
    pub fn unnamed(&self) -> Self {
        let mut same = self.clone();
        if let Some(delivery) = &mut same.delivery {
            delivery.key = neutral_key(usize::try_from(delivery.number).unwrap_or_default());
        }
        same
    }

    /// Moves it on to a state, which may be the one it is in.
    pub(super) fn advance(&mut self, to: FulfilmentState, now: Instant) {
        if to != self.state {
            (self.state, self.state_since) = (to, now);
        }
        (self.version, self.updated_at) = (self.version + 1, now);
    }

    /// That nothing keeps it from being picked, packed and shipped: neither a hold, nor that its location has not
    /// accepted it.
    ///
    /// # Errors
    /// `state_conflict`, with the kinds of the holds.
    pub fn free_for(&self, command: Command, now: Instant) -> Result<()> {
        if !command.is_held() {
            return Ok(());
        }
        let holds: Vec<&str> =
            self.holds.iter().filter(|hold| hold.holds_at(now)).map(|hold| hold.kind.as_str()).collect();
        match (holds.as_slice(), self.accept_by) {
            ([], None) => Block::free(self.order_holds.iter(), OrderCommand::Ship, &[], Some(now)),
            ([], Some(_)) => Err(Error::conflict("the location has not accepted the fulfilment order")),
            (kinds, _) => {
                let error = Error::conflict(format!("the fulfilment order is held: {}", kinds.join(", ")));
                Err(error.with("holds", holds))
            }
        }
    }

    /// That nothing keeps some of its lines from being picked, packed and shipped: no hold of it, of its order, or of these lines.
    ///
    /// # Errors
    /// As [`FulfilmentOrder::free_for`].
    pub(super) fn free_for_lines(&self, command: Command, lines: &[i32], now: Instant) -> Result<()> {
        self.free_for(command, now)?;
        match command.is_held() {
            true => Block::free(self.order_holds.iter(), OrderCommand::Ship, lines, Some(now)),
            false => Ok(()),
        }
    }

    /// The quantities of its lines.
    pub fn counts(&self) -> impl Iterator<Item = &Counts> {
        self.lines.iter().map(|line| &line.counts)
    }
}

/// Pieces of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShippedLine {
    /// The order's line.
    pub line_no: i32,
    /// Its SKU.
    pub sku: String,
    /// How many.
    pub quantity: i64,
}

crate::words! {
    /// Where a shipment stands.
    pub enum ShipmentState {
        /// It has left.
        Shipped = "shipped",
        /// It has arrived.
        Delivered = "delivered",
        /// It was taken back that it had left.
        Corrected = "corrected",
    }
}

crate::words! {
    /// What can be done with a shipment.
    pub enum ShipmentCommand {
        /// Note what the carrier said about it.
        Scan = "scan",
        /// Note that it has arrived.
        Deliver = "deliver",
        /// Take back that it had left.
        Unship = "unship",
        /// Take back that it had arrived.
        Undeliver = "undeliver",
    }
}

/// Every transition of shipments there is: from, command, to. What is not here is refused.
pub const SHIPMENT_TRANSITIONS: &[(ShipmentState, ShipmentCommand, ShipmentState)] = &[
    (ShipmentState::Shipped, ShipmentCommand::Scan, ShipmentState::Shipped),
    (ShipmentState::Shipped, ShipmentCommand::Deliver, ShipmentState::Delivered),
    // Carriers tell late of what happened on the way.
    (ShipmentState::Delivered, ShipmentCommand::Scan, ShipmentState::Delivered),
    (ShipmentState::Shipped, ShipmentCommand::Unship, ShipmentState::Corrected),
    (ShipmentState::Delivered, ShipmentCommand::Undeliver, ShipmentState::Shipped),
];

impl ShipmentState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict` when the state does not take it.
    pub fn apply(self, command: ShipmentCommand) -> Result<Self> {
        let found = SHIPMENT_TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        let refused = || Error::conflict(format!("the shipment is {self}: `{command}` is not possible any more"));
        found.map(|(_, _, to)| *to).ok_or_else(refused)
    }
}

/// The transition table of shipments as a Mermaid diagram.
#[must_use]
pub fn shipments_mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> shipped\n");
    for (from, command, to) in SHIPMENT_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// What a carrier said about a shipment on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Scan {
    /// When.
    pub at: Instant,
    /// What, in the carrier's words.
    pub text: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Tracking>,
}

impl Scan {
    /// Whether it says the same, whatever that means.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        (self.at, &self.text, &self.place) == (other.at, &other.text, &other.place)
    }
}

/// That something was booked wrongly, and was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ShipmentCorrection)]
pub struct Correction {
    /// What was taken back.
    pub command: ShipmentCommand,
    /// Why.
    pub reason: String,
    /// Who did it.
    pub by: String,
    /// When.
    pub at: Instant,
}

/// What has left a location at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Shipment {
    /// Its id.
    pub id: ShipmentId,
    /// The fulfilment order it is of.
    pub fulfilment_order_id: FulfilmentOrderId,
    /// The order.
    pub order_id: OrderId,
    /// Where it left from.
    pub location_id: LocationId,
    /// Who carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// What the carrier calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
    /// Where its way can be followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_url: Option<String>,
    /// Where it stands. More states may come.
    pub state: ShipmentState,
    /// Where its carrier says that it is: by all scans that say so, in the order of their times. More words may come.
    pub tracking: Tracking,
    /// What is in it.
    pub lines: Vec<ShippedLine>,
    /// The packages that have left with it, where it was packed into any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<PackedUnit>,
    /// When it left.
    pub shipped_at: Instant,
    /// When it arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Instant>,
    /// When it was taken back that it had left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected_at: Option<Instant>,
    /// What was taken back, and why; the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<Correction>,
    /// What the carrier said on its way, the latest last.
    pub scans: Vec<Scan>,
    /// When it was recorded here.
    pub recorded_at: Instant,
}

/// What is kept of a shipment beside its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShipmentDetails {
    pub location_id: LocationId,
    #[serde(default)]
    pub tracking_url: Option<String>,
    pub lines: Vec<ShippedLine>,
    #[serde(default)]
    pub scans: Vec<Scan>,
    #[serde(default)]
    pub corrections: Vec<Correction>,
    #[serde(default)]
    pub packages: Vec<PackedUnit>,
}

/// So many pieces of a line of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pieces {
    /// The order's line.
    pub line_no: i32,
    /// How many.
    pub quantity: Quantity,
}

/// The pieces per line, each line once.
///
/// # Errors
/// `quantity_invalid` for none of a line.
pub(super) fn sum_pieces(pieces: &[Pieces]) -> Result<BTreeMap<i32, i64>> {
    let mut sums = BTreeMap::new();
    for (place, of) in pieces.iter().enumerate() {
        if of.quantity.is_zero() {
            let error = Error::problem(Code::QuantityInvalid, "expected at least one piece");
            return Err(error.at(format!("/lines/{place}/quantity")));
        }
        *sums.entry(of.line_no).or_insert(0) += of.quantity.get();
    }
    Ok(sums)
}

/// An error that names a line (`line_no`), pointed at the piece of the request that it is about: the first of an unknown line,
/// the first that is more than is `left`. As it is where the request names no pieces.
pub(super) fn at_piece(error: Error, pieces: Option<&[Pieces]>) -> Error {
    let Error::Problem(problem) = &error else { return error };
    let member = |name: &str| problem.extra.get(name).and_then(serde_json::Value::as_i64);
    let (Some(pieces), Some(line_no)) = (pieces, member("line_no")) else { return error };
    let (mut sum, left) = (0, member("left").unwrap_or_default());
    let too_many = |piece: &Pieces| {
        let is_it = i64::from(piece.line_no) == line_no;
        sum += if is_it { piece.quantity.get() } else { 0 };
        is_it && sum > left
    };
    let field = if problem.code == Code::LineUnknown { "line_no" } else { "quantity" };
    match pieces.iter().position(too_many) {
        Some(place) => error.at(format!("/lines/{place}/{field}")),
        None => error,
    }
}

use Command as C;

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;

//! What a warehouse does for an order: fulfilment orders, their lines' quantities, shipments. Pure.
//!
//! The quantities of the lines are the truth; the state of a fulfilment order is derived from them, and the transition
//! table says which commands a state takes at all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Error, Result},
    kernel::{
        Instant, Quantity,
        ids::{ChannelId, FulfilmentOrderId, LocationId, OrderId, ShipmentId, VariantId},
    },
};

crate::words! {
    /// Where a fulfilment order stands.
    pub enum FulfilmentState {
        /// Nothing has been picked.
        Open = "open",
        /// A part has been picked.
        Picking = "picking",
        /// All of it has been picked.
        Picked = "picked",
        /// All of it is packed.
        Packed = "packed",
        /// A part has left.
        PartiallyShipped = "partially_shipped",
        /// All that was not cancelled has left.
        Shipped = "shipped",
        /// All that left has arrived.
        Delivered = "delivered",
        /// All of it was cancelled.
        Cancelled = "cancelled",
    }
}

crate::words! {
    /// What can be done with a fulfilment order.
    pub enum Command {
        /// Take pieces from the shelf.
        Pick = "pick",
        /// Put them into a parcel; picks what is not picked.
        Pack = "pack",
        /// Hand them to the carrier; picks and packs what is not.
        Ship = "ship",
        /// Note that a shipment has arrived.
        Deliver = "deliver",
        /// Cancel pieces that have not left.
        Cancel = "cancel",
    }
}

use Command as C;
use FulfilmentState as S;

/// Every transition there is: from, command, to. Where a state has several for a command, the quantities decide which;
/// a command that has none is refused.
pub const TRANSITIONS: &[(FulfilmentState, Command, FulfilmentState)] = &[
    (S::Open, C::Pick, S::Picking),
    (S::Open, C::Pick, S::Picked),
    (S::Open, C::Pack, S::Picking),
    (S::Open, C::Pack, S::Packed),
    (S::Open, C::Ship, S::PartiallyShipped),
    (S::Open, C::Ship, S::Shipped),
    (S::Open, C::Cancel, S::Open),
    (S::Open, C::Cancel, S::Cancelled),
    (S::Picking, C::Pick, S::Picking),
    (S::Picking, C::Pick, S::Picked),
    (S::Picking, C::Pack, S::Picking),
    (S::Picking, C::Pack, S::Picked),
    (S::Picking, C::Pack, S::Packed),
    (S::Picking, C::Ship, S::PartiallyShipped),
    (S::Picking, C::Ship, S::Shipped),
    (S::Picking, C::Cancel, S::Open),
    (S::Picking, C::Cancel, S::Picking),
    (S::Picking, C::Cancel, S::Picked),
    (S::Picking, C::Cancel, S::Packed),
    (S::Picking, C::Cancel, S::Cancelled),
    (S::Picked, C::Pack, S::Picked),
    (S::Picked, C::Pack, S::Packed),
    (S::Picked, C::Ship, S::PartiallyShipped),
    (S::Picked, C::Ship, S::Shipped),
    (S::Picked, C::Cancel, S::Picked),
    (S::Picked, C::Cancel, S::Packed),
    (S::Picked, C::Cancel, S::Cancelled),
    (S::Packed, C::Ship, S::PartiallyShipped),
    (S::Packed, C::Ship, S::Shipped),
    (S::Packed, C::Cancel, S::Packed),
    (S::Packed, C::Cancel, S::Cancelled),
    (S::PartiallyShipped, C::Pick, S::PartiallyShipped),
    (S::PartiallyShipped, C::Pack, S::PartiallyShipped),
    (S::PartiallyShipped, C::Ship, S::PartiallyShipped),
    (S::PartiallyShipped, C::Ship, S::Shipped),
    (S::PartiallyShipped, C::Deliver, S::PartiallyShipped),
    (S::PartiallyShipped, C::Cancel, S::PartiallyShipped),
    (S::PartiallyShipped, C::Cancel, S::Shipped),
    (S::PartiallyShipped, C::Cancel, S::Delivered),
    (S::Shipped, C::Deliver, S::Shipped),
    (S::Shipped, C::Deliver, S::Delivered),
];

impl FulfilmentState {
    /// The state after a command that leaves these quantities behind, `arrived` telling whether every shipment of the
    /// fulfilment order has arrived.
    ///
    /// # Errors
    /// `state_conflict` when the state does not take the command.
    pub fn apply<'a>(
        self,
        command: Command,
        after: impl IntoIterator<Item = &'a Counts>,
        arrived: bool,
    ) -> Result<Self> {
        self.takes(command)?;
        let to = derive(after, arrived);
        match TRANSITIONS.contains(&(self, command, to)) {
            true => Ok(to),
            false => Err(Error::conflict(format!("`{command}` does not lead from {self} to {to}"))),
        }
    }

    /// Whether the state takes a command at all.
    ///
    /// # Errors
    /// `state_conflict` when it does not.
    pub fn takes(self, command: Command) -> Result<()> {
        match TRANSITIONS.iter().any(|(from, with, _)| (*from, *with) == (self, command)) {
            true => Ok(()),
            false => Err(Error::conflict(format!("the fulfilment order is {self}: `{command}` is not possible"))),
        }
    }

    /// Whether the warehouse still has something to do.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Shipped | Self::Delivered | Self::Cancelled)
    }
}

/// The transition table as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> open\n");
    for (from, command, to) in TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

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
    /// How many are not to be shipped any more.
    pub cancelled: i64,
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
            C::Pick => self.quantity - self.cancelled - self.picked,
            C::Pack => self.quantity - self.cancelled - self.packed,
            C::Ship | C::Cancel => self.open(),
            C::Deliver => self.shipped,
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
            C::Cancel => {
                step.cancelled = pieces;
                let wanted = self.quantity - self.cancelled - pieces;
                step.picked = (wanted - self.picked).min(0);
                step.packed = (wanted - self.packed).min(0);
            }
            C::Deliver => {}
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
}

/// The state that quantities stand for.
#[must_use]
pub fn derive<'a>(lines: impl IntoIterator<Item = &'a Counts>, arrived: bool) -> FulfilmentState {
    let mut sum = Counts::default();
    for line in lines {
        sum.quantity += line.quantity;
        sum.picked += line.picked;
        sum.packed += line.packed;
        sum.shipped += line.shipped;
        sum.cancelled += line.cancelled;
    }
    let wanted = sum.quantity - sum.cancelled;
    match () {
        () if wanted == 0 => S::Cancelled,
        () if sum.shipped == wanted && arrived => S::Delivered,
        () if sum.shipped == wanted => S::Shipped,
        () if sum.shipped > 0 => S::PartiallyShipped,
        () if sum.packed == wanted => S::Packed,
        () if sum.picked == wanted => S::Picked,
        () if sum.picked > 0 => S::Picking,
        () => S::Open,
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
    /// where the channel has `due_hours`, so many hours after it was ordered.
    pub due_at: Instant,
    /// What is to be shipped.
    pub lines: Vec<FulfilmentLine>,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl FulfilmentOrder {
    /// Moves it on to a state, which may be the one it is in.
    pub(super) fn advance(&mut self, to: FulfilmentState, now: Instant) {
        if to != self.state {
            (self.state, self.state_since) = (to, now);
        }
        (self.version, self.updated_at) = (self.version + 1, now);
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
    }
}

crate::words! {
    /// What can be done with a shipment.
    pub enum ShipmentCommand {
        /// Note what the carrier said about it.
        Scan = "scan",
        /// Note that it has arrived.
        Deliver = "deliver",
    }
}

/// Every transition of shipments there is: from, command, to. What is not here is refused.
pub const SHIPMENT_TRANSITIONS: &[(ShipmentState, ShipmentCommand, ShipmentState)] = &[
    (ShipmentState::Shipped, ShipmentCommand::Scan, ShipmentState::Shipped),
    (ShipmentState::Shipped, ShipmentCommand::Deliver, ShipmentState::Delivered),
    // Carriers tell late of what happened on the way.
    (ShipmentState::Delivered, ShipmentCommand::Scan, ShipmentState::Delivered),
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
    /// What is in it.
    pub lines: Vec<ShippedLine>,
    /// When it left.
    pub shipped_at: Instant,
    /// When it arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Instant>,
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

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;

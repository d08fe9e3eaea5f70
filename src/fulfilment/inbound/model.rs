//! What a purchase order and an inbound shipment are, which commands they take, and what a receipt comes to. Pure.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{
    back::InboundCorrection,
    forms::{LineReceipt, Receipt},
};
use crate::{
    error::{Code, Error, Result},
    kernel::{
        Instant,
        ids::{InboundShipmentId, LocationId, PurchaseOrderId, VariantId},
    },
};

crate::words! {
    /// Where a purchase order stands.
    pub enum PurchaseState {
        /// It is being written.
        Draft = "draft",
        /// The supplier has it.
        Ordered = "ordered",
        /// A part has come.
        PartiallyReceived = "partially_received",
        /// All of it has come.
        Received = "received",
        /// No more is expected, though not all has come.
        Closed = "closed",
        /// It was called off before anything came.
        Cancelled = "cancelled",
    }
}

crate::words! {
    /// What can be done with a purchase order.
    pub enum PurchaseCommand {
        /// Send it to the supplier.
        Order = "order",
        /// Note that goods of it have come.
        Receive = "receive",
        /// Expect no more.
        Close = "close",
        /// Call it off.
        Cancel = "cancel",
        /// Note that goods of it have not come after all.
        Correct = "correct",
    }
}

use PurchaseCommand as PC;
use PurchaseState as PS;

/// Every transition of purchase orders there is: from, command, to. What is not here is refused.
pub const PURCHASE_TRANSITIONS: &[(PurchaseState, PurchaseCommand, PurchaseState)] = &[
    (PS::Draft, PC::Order, PS::Ordered),
    (PS::Draft, PC::Cancel, PS::Cancelled),
    (PS::Ordered, PC::Receive, PS::PartiallyReceived),
    (PS::Ordered, PC::Receive, PS::Received),
    (PS::Ordered, PC::Close, PS::Closed),
    (PS::Ordered, PC::Cancel, PS::Cancelled),
    (PS::PartiallyReceived, PC::Receive, PS::PartiallyReceived),
    (PS::PartiallyReceived, PC::Receive, PS::Received),
    (PS::PartiallyReceived, PC::Close, PS::Closed),
    // More than was ordered, or what was on its way when it was closed.
    (PS::Received, PC::Receive, PS::Received),
    (PS::Closed, PC::Receive, PS::Closed),
    (PS::PartiallyReceived, PC::Correct, PS::PartiallyReceived),
    (PS::PartiallyReceived, PC::Correct, PS::Ordered),
    (PS::Received, PC::Correct, PS::Received),
    (PS::Received, PC::Correct, PS::PartiallyReceived),
    (PS::Received, PC::Correct, PS::Ordered),
    (PS::Closed, PC::Correct, PS::Closed),
];

impl PurchaseState {
    /// Whether it takes a command at all.
    ///
    /// # Errors
    /// `state_conflict` when it does not.
    pub fn takes(self, command: PurchaseCommand) -> Result<()> {
        match PURCHASE_TRANSITIONS.iter().any(|(from, with, _)| (*from, *with) == (self, command)) {
            true => Ok(()),
            false => Err(Error::conflict(format!("the purchase order is {self}: `{command}` is not possible"))),
        }
    }

    /// The state after a command; `whole` tells whether all that was ordered has come.
    ///
    /// # Errors
    /// `state_conflict` when it does not take the command.
    pub fn apply(self, command: PurchaseCommand, whole: bool) -> Result<Self> {
        self.takes(command)?;
        let to = match (self, command) {
            (_, PC::Order) => PS::Ordered,
            (_, PC::Close) => PS::Closed,
            (_, PC::Cancel) => PS::Cancelled,
            (PS::Closed | PS::Received, PC::Receive) => self,
            (PS::Closed, PC::Correct) => self,
            (_, PC::Receive) | (PS::Received, PC::Correct) if whole => PS::Received,
            (_, PC::Receive | PC::Correct) => PS::PartiallyReceived,
        };
        Ok(to)
    }

    /// The state when goods have not come after all: `whole` tells whether all that was ordered is there still, `any` whether something
    /// of it is.
    ///
    /// # Errors
    /// `state_conflict` when nothing had come.
    pub fn corrected(self, whole: bool, any: bool) -> Result<Self> {
        match self.apply(PC::Correct, whole)? {
            PS::PartiallyReceived if !any => Ok(PS::Ordered),
            to => Ok(to),
        }
    }
}

/// The transition table of purchase orders as a Mermaid diagram.
#[must_use]
pub fn purchases_mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> draft\n");
    for (from, command, to) in PURCHASE_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// A line of a purchase order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PurchaseLine {
    /// Its number, from 1.
    pub line_no: i32,
    /// What is ordered.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// How many.
    pub ordered: i64,
    /// How many of them inbound shipments have announced, those that have come included.
    pub announced: i64,
    /// How many have come.
    pub received: i64,
    /// When they are expected, where that is another time than the order's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_at: Option<Instant>,
}

/// An order to a supplier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PurchaseOrder {
    /// Its id.
    pub id: PurchaseOrderId,
    /// What it is called towards the supplier; unique.
    pub number: String,
    /// Who delivers.
    pub supplier: String,
    /// Where to.
    pub location_id: LocationId,
    /// Where it stands.
    pub state: PurchaseState,
    /// When it is expected.
    pub expected_at: Option<Instant>,
    /// Why it was closed or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is ordered.
    pub lines: Vec<PurchaseLine>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl PurchaseOrder {
    /// Whether all that was ordered has come.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.lines.iter().all(|line| line.received >= line.ordered)
    }
}

crate::words! {
    /// Where an inbound shipment stands.
    pub enum InboundState {
        /// It is on its way.
        Announced = "announced",
        /// It stands at the dock.
        Arrived = "arrived",
        /// A part has been received.
        Receiving = "receiving",
        /// All of it has been received.
        Received = "received",
        /// No more is expected of it, though not all has come.
        Closed = "closed",
        /// It does not come.
        Cancelled = "cancelled",
    }
}

crate::words! {
    /// What can be done with an inbound shipment.
    pub enum InboundCommand {
        /// Expect it at another time.
        Reschedule = "reschedule",
        /// Note that it stands at the dock.
        Arrive = "arrive",
        /// Take goods in.
        Receive = "receive",
        /// Expect no more of it.
        Close = "close",
        /// Note that it does not come.
        Cancel = "cancel",
        /// Take back that goods have come.
        Correct = "correct",
    }
}

use InboundCommand as IC;
use InboundState as IS;

/// Every transition of inbound shipments there is: from, command, to. Where a state has several for a command, the quantities
/// decide which; a command that has none is refused.
pub const INBOUND_TRANSITIONS: &[(InboundState, InboundCommand, InboundState)] = &[
    (IS::Announced, IC::Reschedule, IS::Announced),
    (IS::Announced, IC::Arrive, IS::Arrived),
    (IS::Announced, IC::Receive, IS::Receiving),
    (IS::Announced, IC::Receive, IS::Received),
    (IS::Announced, IC::Close, IS::Closed),
    (IS::Announced, IC::Cancel, IS::Cancelled),
    (IS::Arrived, IC::Receive, IS::Receiving),
    (IS::Arrived, IC::Receive, IS::Received),
    (IS::Arrived, IC::Close, IS::Closed),
    (IS::Receiving, IC::Receive, IS::Receiving),
    (IS::Receiving, IC::Receive, IS::Received),
    (IS::Receiving, IC::Close, IS::Closed),
    // More than was announced.
    (IS::Received, IC::Receive, IS::Received),
    (IS::Receiving, IC::Correct, IS::Receiving),
    (IS::Receiving, IC::Correct, IS::Arrived),
    (IS::Receiving, IC::Correct, IS::Announced),
    (IS::Received, IC::Correct, IS::Received),
    (IS::Received, IC::Correct, IS::Receiving),
    (IS::Received, IC::Correct, IS::Arrived),
    (IS::Received, IC::Correct, IS::Announced),
    (IS::Closed, IC::Correct, IS::Closed),
];

impl InboundState {
    /// Whether it takes a command at all.
    ///
    /// # Errors
    /// `state_conflict` when it does not.
    pub fn takes(self, command: InboundCommand) -> Result<()> {
        match INBOUND_TRANSITIONS.iter().any(|(from, with, _)| (*from, *with) == (self, command)) {
            true => Ok(()),
            false => Err(Error::conflict(format!("the inbound shipment is {self}: `{command}` is not possible"))),
        }
    }

    /// The state after a command; `whole` tells whether nothing is left to come.
    ///
    /// # Errors
    /// `state_conflict` when it does not take the command.
    pub fn apply(self, command: InboundCommand, whole: bool) -> Result<Self> {
        self.takes(command)?;
        Ok(match command {
            IC::Reschedule => self,
            IC::Arrive => IS::Arrived,
            IC::Receive if whole => IS::Received,
            IC::Receive => IS::Receiving,
            IC::Close => IS::Closed,
            IC::Cancel => IS::Cancelled,
            IC::Correct if self == IS::Closed || (whole && self == IS::Received) => self,
            IC::Correct => IS::Receiving,
        })
    }

    /// Whether goods of it are still expected.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Announced | Self::Arrived | Self::Receiving)
    }
}

/// The transition table of inbound shipments as a Mermaid diagram.
#[must_use]
pub fn inbound_mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> announced\n");
    for (from, command, to) in INBOUND_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// A line of an inbound shipment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct InboundLine {
    /// Its number, from 1.
    pub line_no: i32,
    /// What comes.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// The handling unit that it is in; loose when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sscc: Option<String>,
    /// Its lot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// Until when it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_before: Option<NaiveDate>,
    /// The line of the purchase order that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purchase_order_line: Option<i32>,
    /// How many were announced.
    pub expected: i64,
    /// How many have come.
    pub received: i64,
    /// How many of those are more than was announced.
    pub surplus: i64,
    /// How many are not expected any more.
    pub short: i64,
    /// How many of those to come are meant for orders that wait for them.
    pub matched: i64,
    /// How many of those that have come went to waiting orders without being stored.
    pub docked: i64,
}

impl InboundLine {
    /// The number of the lot that it is of, if of any: what has a date and no number is of a lot that is called by its date.
    #[must_use]
    pub fn lot_number(&self) -> Option<String> {
        self.lot.clone().or_else(|| self.best_before.map(|day| day.to_string()))
    }

    /// How many are still to come.
    #[must_use]
    pub const fn left(&self) -> i64 {
        self.expected + self.surplus - self.short - self.received
    }
}

crate::words! {
    /// Where a handling unit of an inbound shipment stands.
    pub enum UnitState {
        /// It is on its way.
        Expected = "expected",
        /// It has come.
        Received = "received",
        /// It has left again, unopened.
        PassedOn = "passed_on",
        /// It does not come.
        Missing = "missing",
    }
}

/// A handling unit of an inbound shipment: a pallet, a box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HandlingUnit {
    /// Its number.
    #[schema(example = "106141412345678908")]
    pub sscc: String,
    /// Where it stands.
    pub state: UnitState,
    /// When it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Instant>,
    /// When it left again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_at: Option<Instant>,
}

/// What is kept of an inbound shipment beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InboundDetails {
    pub supplier: Option<String>,
    pub over_tolerance_percent: i64,
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<InboundCorrection>,
}

/// What is kept of a purchase order beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PurchaseDetails {
    pub reason: Option<String>,
}

/// A shipment that is expected at a location, or has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct InboundShipment {
    /// Its id.
    pub id: InboundShipmentId,
    /// What the sender calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who sends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supplier: Option<String>,
    /// The order to a supplier that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purchase_order_id: Option<PurchaseOrderId>,
    /// Where it comes to.
    pub location_id: LocationId,
    /// Where it stands.
    pub state: InboundState,
    /// When it is expected.
    pub expected_at: Instant,
    /// When it stood at the dock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrived_at: Option<Instant>,
    /// When the first of it was received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Instant>,
    /// So many per cent more than announced are taken without asking.
    pub over_tolerance_percent: i64,
    /// Why no more is expected of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is in it.
    pub lines: Vec<InboundLine>,
    /// The handling units that it is packed in.
    pub units: Vec<HandlingUnit>,
    /// What was received wrongly and is taken back, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<InboundCorrection>,
    /// Rises with every change.
    pub version: i64,
    /// Since when it is known.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// What a receipt does to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The line.
    pub line_no: i32,
    /// How many come in.
    pub quantity: i64,
    /// By how many more there are than was known of.
    pub surplus: i64,
}

/// What becomes of received goods at the dock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Docked {
    /// The line.
    pub line_no: i32,
    /// How many of those that were meant for orders before they came.
    pub planned: i64,
    /// How many go to orders in all.
    pub docked: i64,
}

impl InboundShipment {
    /// That it was announced when something is said to have come of it.
    ///
    /// # Errors
    /// `history_before_announcement`.
    pub fn announced_by(&self, at: Instant) -> Result<()> {
        if at >= self.created_at {
            return Ok(());
        }
        let detail = "nothing had been announced then: receive it from when the shipment was announced on";
        let error = Error::problem(Code::HistoryBeforeAnnouncement, detail).at("/occurred_at");
        Err(error.with("created_at", serde_json::to_value(self.created_at)?))
    }

    /// Whether nothing is left to come.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.lines.iter().all(|line| line.left() <= 0)
    }

    /// Its lines in a handling unit.
    pub fn contents<'a>(&'a self, sscc: &'a str) -> impl Iterator<Item = &'a InboundLine> {
        self.lines.iter().filter(move |line| line.sscc.as_deref() == Some(sscc))
    }

    /// What a receipt takes in: the lines and the whole handling units that it names, or all that is left.
    ///
    /// # Errors
    /// `state_conflict`; `line_unknown`; `not_found` for a handling unit, `duplicate` when it has come before;
    /// `quantity_exceeded` for more than the tolerance allows, unless it is accepted.
    pub fn plan(&self, receipt: &Receipt) -> Result<Vec<Taken>> {
        self.state.takes(InboundCommand::Receive)?;
        let mut wanted: BTreeMap<i32, (i64, String)> = BTreeMap::new();
        if receipt.lines.is_empty() && receipt.units.is_empty() {
            wanted.extend(self.lines.iter().map(|line| (line.line_no, (line.left().max(0), String::new()))));
        }
        for (place, sscc) in receipt.units.iter().enumerate() {
            let at = format!("/units/{place}");
            let unit = self.units.iter().find(|unit| unit.sscc == **sscc);
            let unit = unit.ok_or_else(|| Error::not_found("handling unit of this shipment").at(at.as_str()))?;
            if unit.state != UnitState::Expected {
                let detail = format!("the handling unit {} is {} already", unit.sscc, unit.state);
                return Err(Error::problem(Code::Duplicate, detail).at(at));
            }
            wanted.extend(self.contents(sscc).map(|line| (line.line_no, (line.left().max(0), at.clone()))));
        }
        for (place, LineReceipt { line_no, quantity, .. }) in receipt.lines.iter().enumerate() {
            let at = format!("/lines/{place}");
            let (sum, pointer) = wanted.entry(*line_no).or_insert((0, String::new()));
            (*sum, *pointer) = (*sum + quantity.get(), at);
        }
        let mut taken = Vec::with_capacity(wanted.len());
        for (line_no, (quantity, at)) in wanted {
            let line = self.lines.iter().find(|line| line.line_no == line_no);
            let unknown = || Error::problem(Code::LineUnknown, format!("the shipment has no line {line_no}")).at(&*at);
            let line = line.ok_or_else(unknown)?;
            if quantity > 0 {
                taken.push(self.take(line, quantity, receipt.accept_over).map_err(|error| error.at(&*at))?);
            }
        }
        match taken.is_empty() {
            true => Err(Error::problem(Code::QuantityExceeded, "nothing is left to receive")),
            false => Ok(taken),
        }
    }

    fn take(&self, line: &InboundLine, quantity: i64, accept_over: bool) -> Result<Taken> {
        let allowed = line.expected * self.over_tolerance_percent / 100 - line.surplus;
        let over = (quantity - line.left()).max(0);
        if over > allowed.max(0) && !accept_over {
            let left = line.left() + allowed.max(0);
            let detail =
                format!("line {} has {left} left, the tolerance included; send accept_over to take more", line.line_no);
            let error = Error::problem(Code::QuantityExceeded, detail);
            return Err(error.with("left", left).with("line_no", line.line_no));
        }
        Ok(Taken { line_no: line.line_no, quantity, surplus: over })
    }

    /// The same after a receipt.
    pub(super) fn after(&mut self, taken: &[Taken], docked: &[Docked], now: Instant) {
        for line in &mut self.lines {
            for one in taken.iter().filter(|one| one.line_no == line.line_no) {
                line.received += one.quantity;
                line.surplus += one.surplus;
            }
            for one in docked.iter().filter(|one| one.line_no == line.line_no) {
                line.matched -= one.planned;
                line.docked += one.docked;
            }
        }
        self.received_at = self.received_at.or(Some(now));
        self.arrived_at = self.arrived_at.or(Some(now));
    }

    /// The handling units that have come whole with a receipt: all of whose lines have nothing left.
    pub(super) fn units_come(&self) -> Vec<String> {
        let expected = self.units.iter().filter(|unit| unit.state == UnitState::Expected);
        let whole = |unit: &&HandlingUnit| self.contents(&unit.sscc).all(|line| line.left() <= 0);
        expected.filter(whole).map(|unit| unit.sscc.clone()).collect()
    }
}

/// Goods that are expected: how many, where, when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Which variant.
    pub variant: VariantId,
    /// Where.
    pub location: LocationId,
    /// When.
    pub at: Instant,
    /// How many.
    pub quantity: i64,
}

/// What an inbound line has that no order is waiting for yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supply {
    /// The shipment.
    pub inbound: InboundShipmentId,
    /// Its line.
    pub line_no: i32,
    /// Which variant.
    pub variant: VariantId,
    /// Its SKU.
    pub sku: String,
    /// The handling unit.
    pub sscc: Option<String>,
    /// When it comes.
    pub at: Instant,
    /// The number of its lot.
    pub lot: Option<String>,
    /// Until when it is good.
    pub best_before: Option<NaiveDate>,
    /// From when on it is not sold any more.
    pub ends_at: Option<Instant>,
    /// How many.
    pub quantity: i64,
    /// Whether all of its handling unit is free, so that it could pass whole.
    pub untouched: bool,
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;

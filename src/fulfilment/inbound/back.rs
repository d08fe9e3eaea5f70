//! What it means that goods which were received have not come after all. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    forms::{LINES, check_quantity},
    model::{HandlingUnit, InboundCommand, InboundShipment, InboundState, UnitState},
};
use crate::{
    error::{Code, Error, Result},
    kernel::{
        Instant, Quantity,
        text::{Note, Text},
    },
};

/// Pieces of a line that have not come after all.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WrongPieces {
    /// The line.
    #[schema(minimum = 1)]
    pub line_no: i32,
    /// How many.
    #[schema(minimum = 1)]
    pub quantity: Quantity,
    /// The lot that they were received in, where the line came in several; unless told, the announced one, then what is in none,
    /// then the lot that was named last.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pub lot: Option<Text<50>>,
}

/// What was received wrongly, and why it is taken back: pieces of lines, whole handling units.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lines": [{"line_no": 1, "quantity": 2}], "reason": "counted twice"}))]
pub struct WrongReceipt {
    /// Pieces of lines.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub lines: Vec<WrongPieces>,
    /// Handling units, each with all that was received of it.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub units: Vec<Text<18>>,
    /// Why.
    #[schema(value_type = String, min_length = 1, max_length = 500)]
    pub reason: Note<500>,
}

impl WrongReceipt {
    /// Checks what it says by itself.
    ///
    /// # Errors
    /// `invalid_value`; `missing_field` when it names nothing.
    pub(in crate::fulfilment) fn check(&self) -> Result<()> {
        if self.lines.len() > LINES || self.units.len() > LINES {
            return Err(Error::invalid("/lines", "expected at most 1000 lines and units"));
        }
        if self.lines.is_empty() && self.units.is_empty() {
            let detail = "what has not come? Name lines, or handling units";
            return Err(Error::problem(Code::MissingField, detail).at("/lines"));
        }
        self.lines.iter().enumerate().try_for_each(|(place, line)| check_quantity(line.quantity, place))
    }
}

/// That goods were received wrongly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InboundCorrection {
    /// When it was taken back.
    pub at: Instant,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Which pieces.
    pub lines: Vec<CorrectedPieces>,
    /// Which handling units are expected again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
}

/// Pieces of a line that were received wrongly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CorrectedPieces {
    /// The line.
    pub line_no: i32,
    /// How many.
    pub quantity: i64,
}

/// Pieces of a line that are taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Back {
    /// The line.
    pub line_no: i32,
    /// How many.
    pub quantity: i64,
    /// How many of them had come beyond what was announced.
    pub surplus: i64,
    /// Where the line stands in the request, as a JSON pointer.
    pub pointer: String,
    /// The lots that were named, with how many pieces of each.
    pub lots: Vec<(String, i64)>,
}

crate::words! {
    /// What is there of a shipment once goods have not come after all.
    pub enum Standing {
        /// All that was announced.
        Whole = "whole",
        /// A part.
        Part = "part",
        /// Nothing; it stands at the dock.
        Here = "here",
        /// Nothing: it has not come.
        Away = "away",
    }
}

impl InboundState {
    /// The state when goods have not come after all.
    ///
    /// # Errors
    /// `state_conflict` when nothing had been received.
    pub fn corrected(self, standing: Standing) -> Result<Self> {
        let to = self.apply(InboundCommand::Correct, standing == Standing::Whole)?;
        Ok(match (to, standing) {
            (Self::Receiving, Standing::Here) => Self::Arrived,
            (Self::Receiving, Standing::Away) => Self::Announced,
            (to, _) => to,
        })
    }
}

impl InboundShipment {
    /// What is taken back by a correction, each line once, in their order.
    ///
    /// # Errors
    /// `state_conflict`, also for a handling unit that has not come or has left again; `line_unknown`; `not_found` for a handling
    /// unit; `quantity_exceeded` for more than was received.
    pub fn plan_back(&self, wrong: &WrongReceipt) -> Result<Vec<Back>> {
        self.state.takes(InboundCommand::Correct)?;
        let mut wanted: BTreeMap<i32, (i64, String, Vec<(String, i64)>)> = BTreeMap::new();
        for (place, sscc) in wrong.units.iter().enumerate() {
            let at = format!("/units/{place}");
            let unit = self.units.iter().find(|unit| unit.sscc == **sscc);
            let unit = unit.ok_or_else(|| Error::not_found("handling unit of this shipment").at(at.as_str()))?;
            if unit.state == UnitState::Expected {
                // What came of it piece by piece is named by its lines.
                return Err(not_there(unit).at(at));
            }
            for line in self.contents(sscc).filter(|line| line.received > 0) {
                wanted.insert(line.line_no, (line.received, at.clone(), Vec::new()));
            }
        }
        for (place, line) in wrong.lines.iter().enumerate() {
            let (sum, pointer, lots) = wanted.entry(line.line_no).or_default();
            (*sum, *pointer) = (*sum + line.quantity.get(), format!("/lines/{place}"));
            lots.extend(line.lot.as_ref().map(|lot| (lot.to_string(), line.quantity.get())));
        }
        let one = |(line_no, (quantity, pointer, lots)): (i32, (i64, String, Vec<(String, i64)>))| {
            let line = self.lines.iter().find(|line| line.line_no == line_no);
            let unknown = || Error::problem(Code::LineUnknown, format!("the shipment has no line {line_no}"));
            let line = line.ok_or_else(|| unknown().at(&*pointer))?;
            if quantity > line.received {
                let detail = format!("only {} of line {line_no} were received", line.received);
                let error = Error::problem(Code::QuantityExceeded, detail).at(&*pointer);
                return Err(error.with("left", line.received).with("line_no", line_no));
            }
            let unit = self.units.iter().find(|unit| Some(&unit.sscc) == line.sscc.as_ref());
            if let Some(unit) = unit.filter(|unit| unit.state == UnitState::PassedOn) {
                return Err(not_there(unit).at(&*pointer));
            }
            Ok(Back { line_no, quantity, surplus: line.surplus.min(quantity), pointer, lots })
        };
        let back: Vec<Back> = wanted.into_iter().map(one).collect::<Result<_>>()?;
        match back.is_empty() {
            true => Err(Error::problem(Code::QuantityExceeded, "nothing of it was received")),
            false => Ok(back),
        }
    }

    /// The handling units that hold some of what is taken back: they are expected again.
    pub(in crate::fulfilment) fn units_back(&self, back: &[Back]) -> Vec<String> {
        let touched = |unit: &&HandlingUnit| {
            let mut lines = self.contents(&unit.sscc);
            unit.state == UnitState::Received && lines.any(|line| back.iter().any(|one| one.line_no == line.line_no))
        };
        self.units.iter().filter(touched).map(|unit| unit.sscc.clone()).collect()
    }

    /// The same without what is taken back.
    pub(super) fn before(&mut self, back: &[Back], units: &[String]) {
        let closed = self.state == InboundState::Closed;
        for line in &mut self.lines {
            for one in back.iter().filter(|one| one.line_no == line.line_no) {
                line.received -= one.quantity;
                line.surplus -= one.surplus;
                // Of a closed one nothing is expected.
                line.short += if closed { one.quantity - one.surplus } else { 0 };
            }
        }
        let state = if closed { UnitState::Missing } else { UnitState::Expected };
        for unit in self.units.iter_mut().filter(|unit| units.contains(&unit.sscc)) {
            (unit.state, unit.received_at) = (state, None);
        }
        if self.lines.iter().all(|line| line.received == 0) {
            // Where nobody has said that it arrived, it was taken to have come with the first goods.
            self.arrived_at = self.arrived_at.filter(|arrived| self.received_at.is_some_and(|first| *arrived < first));
            self.received_at = None;
        }
    }

    /// What is there of it now.
    pub(super) fn standing(&self) -> Standing {
        match () {
            () if self.lines.iter().all(|line| line.received == 0) => match self.arrived_at {
                Some(_) => Standing::Here,
                None => Standing::Away,
            },
            () if self.is_whole() => Standing::Whole,
            () => Standing::Part,
        }
    }
}

fn not_there(unit: &HandlingUnit) -> Error {
    Error::conflict(format!("the handling unit {} is {}", unit.sscc, unit.state))
}

//! What a transfer is, which commands it takes, and what arrives of it. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Error, Result},
    kernel::{
        Instant, Quantity,
        ids::{LocationId, TransferId, VariantId},
    },
};

crate::words! {
    /// Where a transfer stands.
    pub enum TransferState {
        /// Nothing has left.
        Draft = "draft",
        /// It is under way.
        InTransit = "in_transit",
        /// A part has arrived.
        PartiallyReceived = "partially_received",
        /// All that left has arrived, whole or damaged.
        Received = "received",
        /// What has not arrived is given up.
        Closed = "closed",
        /// It did not take place.
        Cancelled = "cancelled",
    }
}

crate::words! {
    /// What can be done with a transfer.
    pub enum TransferCommand {
        /// Send the goods off.
        Ship = "ship",
        /// Note what has arrived.
        Receive = "receive",
        /// Give up what has not arrived.
        Close = "close",
        /// Call it off.
        Cancel = "cancel",
        /// Take back that goods have arrived.
        Correct = "correct",
    }
}

use TransferCommand as C;
use TransferState as S;

/// Every transition of transfers there is: from, command, to. Where a state has several for a command, the quantities decide
/// which; a command that has none is refused.
pub const TRANSFER_TRANSITIONS: &[(TransferState, TransferCommand, TransferState)] = &[
    (S::Draft, C::Ship, S::InTransit),
    (S::Draft, C::Cancel, S::Cancelled),
    (S::InTransit, C::Receive, S::PartiallyReceived),
    (S::InTransit, C::Receive, S::Received),
    (S::InTransit, C::Close, S::Closed),
    (S::PartiallyReceived, C::Receive, S::PartiallyReceived),
    (S::PartiallyReceived, C::Receive, S::Received),
    (S::PartiallyReceived, C::Close, S::Closed),
    (S::PartiallyReceived, C::Correct, S::PartiallyReceived),
    (S::PartiallyReceived, C::Correct, S::InTransit),
    (S::Received, C::Correct, S::Received),
    (S::Received, C::Correct, S::PartiallyReceived),
    (S::Received, C::Correct, S::InTransit),
    (S::Closed, C::Correct, S::Closed),
];

impl TransferState {
    /// Whether it takes a command at all.
    ///
    /// # Errors
    /// `state_conflict` when it does not.
    pub fn takes(self, command: TransferCommand) -> Result<()> {
        match TRANSFER_TRANSITIONS.iter().any(|(from, with, _)| (*from, *with) == (self, command)) {
            true => Ok(()),
            false => Err(Error::conflict(format!("the transfer is {self}: `{command}` is not possible"))),
        }
    }

    /// The state after a command; `whole` tells whether nothing is under way any more.
    ///
    /// # Errors
    /// `state_conflict` when it does not take the command.
    pub fn apply(self, command: TransferCommand, whole: bool) -> Result<Self> {
        self.takes(command)?;
        Ok(match command {
            C::Ship => S::InTransit,
            C::Receive if whole => S::Received,
            C::Receive => S::PartiallyReceived,
            C::Close => S::Closed,
            C::Cancel => S::Cancelled,
            C::Correct if self == S::Closed || (whole && self == S::Received) => self,
            C::Correct => S::PartiallyReceived,
        })
    }

    /// The state when goods have not arrived after all: `whole` tells whether nothing is under way, `any` whether something has arrived.
    ///
    /// # Errors
    /// `state_conflict` when nothing had arrived.
    pub fn corrected(self, whole: bool, any: bool) -> Result<Self> {
        match self.apply(C::Correct, whole)? {
            S::PartiallyReceived if !any => Ok(S::InTransit),
            to => Ok(to),
        }
    }
}

/// The transition table of transfers as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> draft\n");
    for (from, command, to) in TRANSFER_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// A line of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TransferLine {
    /// Its number, from 1.
    pub line_no: i32,
    /// What is moved.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// How many are meant to.
    pub quantity: i64,
    /// How many have left.
    pub shipped: i64,
    /// How many of those have arrived whole.
    pub received: i64,
    /// How many of those have arrived and are of no use.
    pub damaged: i64,
    /// How many of those were given up.
    pub lost: i64,
    /// How many have arrived beyond those that left.
    pub surplus: i64,
}

impl TransferLine {
    /// How many are under way.
    #[must_use]
    pub const fn under_way(&self) -> i64 {
        self.shipped - self.received - self.damaged - self.lost
    }
}

/// What is kept of a transfer beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TransferDetails {
    pub note: Option<String>,
    pub reason: Option<String>,
    pub shipped_at: Option<Instant>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<TransferCorrection>,
}

/// That goods were taken to have arrived that have not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TransferCorrection {
    /// When it was taken back.
    pub at: Instant,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Which pieces.
    pub lines: Vec<NotArrived>,
}

/// Pieces of a line that have not arrived after all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NotArrived {
    /// The line.
    pub line_no: i32,
    /// How many that were taken to be whole.
    pub quantity: i64,
    /// How many that were taken to be of no use.
    pub damaged: i64,
}

/// Goods that are moved from one location to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Transfer {
    /// Its id.
    pub id: TransferId,
    /// Where they come from.
    pub from_location_id: LocationId,
    /// Where they go.
    pub to_location_id: LocationId,
    /// Where it stands.
    pub state: TransferState,
    /// When they are expected there.
    pub expected_at: Option<Instant>,
    /// When they left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipped_at: Option<Instant>,
    /// What is to be known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is moved.
    pub lines: Vec<TransferLine>,
    /// What was taken wrongly to have arrived, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<TransferCorrection>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// Pieces of a line: that leave, or that arrive.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TransferPieces)]
pub struct TransferPieces {
    /// The line.
    #[schema(minimum = 1)]
    pub line_no: i32,
    /// How many; of those that arrive, those that are whole.
    pub quantity: Quantity,
    /// How many arrive that are of no use.
    #[serde(default)]
    pub damaged: Quantity,
}

/// What a command adds to a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransferStep {
    /// The line.
    pub line_no: i32,
    /// Leaves.
    pub shipped: i64,
    /// Arrives whole.
    pub received: i64,
    /// Arrives and is of no use.
    pub damaged: i64,
    /// Is given up.
    pub lost: i64,
    /// Arrives beyond what left.
    pub surplus: i64,
}

impl Transfer {
    fn wanted(&self, pieces: &[TransferPieces]) -> Result<BTreeMap<i32, (i64, i64)>> {
        let mut wanted: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
        for (place, one) in pieces.iter().enumerate() {
            if !self.lines.iter().any(|line| line.line_no == one.line_no) {
                let error = Error::problem(Code::LineUnknown, format!("the transfer has no line {}", one.line_no));
                return Err(error.at(format!("/lines/{place}/line_no")));
            }
            let sum = wanted.entry(one.line_no).or_default();
            *sum = (sum.0 + one.quantity.get(), sum.1 + one.damaged.get());
        }
        Ok(wanted)
    }

    /// What leaves: these pieces, or all.
    ///
    /// # Errors
    /// `state_conflict`, `line_unknown`, `quantity_exceeded`.
    pub fn plan_ship(&self, pieces: &[TransferPieces]) -> Result<Vec<TransferStep>> {
        self.state.takes(C::Ship)?;
        let wanted = self.wanted(pieces)?;
        let step = |line: &TransferLine| {
            let shipped = match wanted.get(&line.line_no) {
                _ if pieces.is_empty() => line.quantity,
                Some((quantity, _)) => *quantity,
                None => 0,
            };
            if shipped > line.quantity {
                return Err(too_many(line.line_no, line.quantity));
            }
            Ok(TransferStep { line_no: line.line_no, shipped, ..TransferStep::default() })
        };
        let steps: Vec<TransferStep> = self.lines.iter().map(step).collect::<Result<_>>()?;
        let steps: Vec<_> = steps.into_iter().filter(|step| step.shipped > 0).collect();
        match steps.is_empty() {
            true => Err(Error::problem(Code::QuantityExceeded, "nothing leaves")),
            false => Ok(steps),
        }
    }

    /// What arrives: these pieces, or all that is under way.
    ///
    /// # Errors
    /// `state_conflict`, `line_unknown`; `quantity_exceeded` for more than is under way, unless it is accepted.
    pub fn plan_receive(&self, pieces: &[TransferPieces], accept_over: bool) -> Result<Vec<TransferStep>> {
        self.state.takes(C::Receive)?;
        let wanted = match pieces.is_empty() {
            true => self.lines.iter().map(|line| (line.line_no, (line.under_way(), 0))).collect(),
            false => self.wanted(pieces)?,
        };
        let mut steps = Vec::with_capacity(wanted.len());
        for line in &self.lines {
            let Some((quantity, damaged)) = wanted.get(&line.line_no).copied() else { continue };
            let left = line.under_way();
            let over = (quantity + damaged - left).max(0);
            if (over > 0 && !accept_over) || damaged > left {
                return Err(too_many(line.line_no, left));
            }
            if quantity + damaged > 0 {
                let received = quantity - over;
                let step =
                    TransferStep { line_no: line.line_no, received, damaged, surplus: over, ..TransferStep::default() };
                steps.push(step);
            }
        }
        match steps.is_empty() {
            true => Err(Error::problem(Code::QuantityExceeded, "nothing is under way")),
            false => Ok(steps),
        }
    }

    /// What has not arrived after all: it is under way again, or given up where the transfer is closed.
    ///
    /// # Errors
    /// `state_conflict`, `line_unknown`; `quantity_exceeded` for more than has arrived.
    pub fn plan_correct(&self, pieces: &[TransferPieces]) -> Result<Vec<TransferStep>> {
        self.state.takes(C::Correct)?;
        let wanted = self.wanted(pieces)?;
        let step = |line: &TransferLine| {
            let (quantity, damaged) = wanted.get(&line.line_no).copied().unwrap_or_default();
            let come = line.received + line.surplus;
            if quantity > come || damaged > line.damaged {
                return Err(too_many(line.line_no, if quantity > come { come } else { line.damaged }));
            }
            // What came beyond what had left goes first.
            let over = quantity.min(line.surplus);
            let lost = if self.state == S::Closed { quantity - over + damaged } else { 0 };
            let (received, damaged, surplus) = (over - quantity, -damaged, -over);
            Ok(TransferStep { line_no: line.line_no, received, damaged, lost, surplus, ..TransferStep::default() })
        };
        let steps: Vec<TransferStep> = self.lines.iter().map(step).collect::<Result<_>>()?;
        let steps: Vec<_> = steps.into_iter().filter(|step| step.received + step.surplus + step.damaged < 0).collect();
        match steps.is_empty() {
            true => Err(Error::problem(Code::QuantityExceeded, "nothing is taken back")),
            false => Ok(steps),
        }
    }

    /// What is given up.
    #[must_use]
    pub fn plan_close(&self) -> Vec<TransferStep> {
        let open = self.lines.iter().filter(|line| line.under_way() > 0);
        open.map(|line| TransferStep { line_no: line.line_no, lost: line.under_way(), ..TransferStep::default() })
            .collect()
    }

    /// The same after steps.
    pub(super) fn after(&mut self, steps: &[TransferStep]) {
        for step in steps {
            for line in self.lines.iter_mut().filter(|line| line.line_no == step.line_no) {
                line.shipped += step.shipped;
                line.received += step.received;
                line.damaged += step.damaged;
                line.lost += step.lost;
                line.surplus += step.surplus;
            }
        }
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.lines.iter().all(|line| line.under_way() == 0)
    }
}

fn too_many(line_no: i32, left: i64) -> Error {
    let error = Error::problem(Code::QuantityExceeded, format!("line {line_no} has only {left} left"));
    error.with("line_no", line_no).with("left", left)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernel::Id;

    fn transfer(quantities: &[i64]) -> Transfer {
        let line = |(place, quantity): (usize, &i64)| TransferLine {
            line_no: i32::try_from(place).unwrap() + 1,
            variant_id: Id::new(),
            sku: "A".to_owned(),
            quantity: *quantity,
            shipped: 0,
            received: 0,
            damaged: 0,
            lost: 0,
            surplus: 0,
        };
        let at = Instant::from_micros(0);
        Transfer {
            id: Id::new(),
            from_location_id: Id::new(),
            to_location_id: Id::new(),
            state: TransferState::Draft,
            expected_at: None,
            shipped_at: None,
            note: None,
            reason: None,
            lines: quantities.iter().enumerate().map(line).collect(),
            version: 1,
            corrections: Vec::new(),
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn every_transition_is_reached_and_no_other() {
        for (from, command, to) in TRANSFER_TRANSITIONS {
            let ends = [(false, false), (false, true), (true, true)];
            let reached: Vec<TransferState> = match command {
                TransferCommand::Correct => ends.map(|(whole, any)| from.corrected(whole, any).unwrap()).to_vec(),
                _ => [false, true].map(|whole| from.apply(*command, whole).unwrap()).to_vec(),
            };
            assert!(reached.contains(to));
            assert!(reached.iter().all(|to| TRANSFER_TRANSITIONS.contains(&(*from, *command, *to))));
        }
        assert!(TransferState::Received.takes(TransferCommand::Receive).is_err());
    }

    proptest! {
        #[test]
        fn what_left_is_under_way_or_somewhere(quantity in 1i64..20, shipped in 1i64..25,
            parts in prop::collection::vec((0i64..8, 0i64..4, any::<bool>()), 0..6))
        {
            let mut transfer = transfer(&[quantity]);
            let pieces = |quantity, damaged| [TransferPieces {
                line_no: 1,
                quantity: Quantity::new(quantity).unwrap(),
                damaged: Quantity::new(damaged).unwrap(),
            }];
            match transfer.plan_ship(&pieces(shipped, 0)) {
                Err(error) => prop_assert!(shipped > quantity && error.code() == Code::QuantityExceeded),
                Ok(steps) => {
                    transfer.after(&steps);
                    transfer.state = TransferState::InTransit;
                    let (mut whole, mut broken) = (0, 0);
                    for (quantity, damaged, accept_over) in parts {
                        if let Ok(steps) = transfer.plan_receive(&pieces(quantity, damaged), accept_over) {
                            transfer.after(&steps);
                            (whole, broken) = (whole + quantity, broken + damaged);
                            transfer.state = transfer.state.apply(TransferCommand::Receive, transfer.is_whole()).unwrap();
                        }
                        // A piece of it had not come after all.
                        if accept_over && let Ok(steps) = transfer.plan_correct(&pieces(1, 0)) {
                            transfer.after(&steps);
                            whole -= 1;
                            let any = whole + broken > 0;
                            transfer.state = transfer.state.corrected(transfer.is_whole(), any).unwrap();
                        }
                        let line = &transfer.lines[0];
                        prop_assert!(line.under_way() >= 0 && line.received >= 0);
                        prop_assert_eq!((line.received + line.surplus, line.damaged), (whole, broken));
                    }
                    transfer.after(&transfer.plan_close());
                    prop_assert!(transfer.is_whole());
                }
            }
        }
    }
}

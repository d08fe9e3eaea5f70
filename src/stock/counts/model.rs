//! What a count is, which commands it takes, and when something is counted again. Pure.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::{
        Instant,
        ids::{LocationId, StockCountId, VariantId},
    },
};

crate::words! {
    /// Where a count stands.
    pub enum CountState {
        /// Nothing has been counted.
        Open = "open",
        /// Something is to be counted still, or again.
        Counting = "counting",
        /// All of it has been counted.
        Counted = "counted",
        /// The differences are booked.
        Approved = "approved",
        /// It came to nothing.
        Cancelled = "cancelled",
    }
}

crate::words! {
    /// What can be done with a count.
    pub enum CountCommand {
        /// Say how many lie there.
        Record = "record",
        /// Book the differences.
        Approve = "approve",
        /// Give it up.
        Cancel = "cancel",
    }
}

use CountCommand as C;
use CountState as S;

/// Every transition of counts there is: from, command, to. Where a state has several for a command, what is left to count
/// decides which; a command that has none is refused.
pub const COUNT_TRANSITIONS: &[(CountState, CountCommand, CountState)] = &[
    (S::Open, C::Record, S::Counting),
    (S::Open, C::Record, S::Counted),
    (S::Open, C::Cancel, S::Cancelled),
    (S::Counting, C::Record, S::Counting),
    (S::Counting, C::Record, S::Counted),
    (S::Counting, C::Cancel, S::Cancelled),
    // Somebody counts again of their own accord.
    (S::Counted, C::Record, S::Counting),
    (S::Counted, C::Record, S::Counted),
    (S::Counted, C::Approve, S::Approved),
    // Somebody has said otherwise meanwhile how many lie there.
    (S::Counted, C::Approve, S::Counting),
    (S::Counted, C::Cancel, S::Cancelled),
];

impl CountState {
    /// Whether it takes a command at all.
    ///
    /// # Errors
    /// `state_conflict` when it does not.
    pub fn takes(self, command: CountCommand) -> Result<()> {
        match COUNT_TRANSITIONS.iter().any(|(from, with, _)| (*from, *with) == (self, command)) {
            true => Ok(()),
            false => Err(Error::conflict(format!("the count is {self}: `{command}` is not possible"))),
        }
    }

    /// The state after a command; `complete` tells whether nothing is left to count.
    ///
    /// # Errors
    /// `state_conflict` when it does not take the command.
    pub fn apply(self, command: CountCommand, complete: bool) -> Result<Self> {
        self.takes(command)?;
        Ok(match command {
            C::Record if complete => S::Counted,
            C::Record => S::Counting,
            C::Approve if complete => S::Approved,
            C::Approve => S::Counting,
            C::Cancel => S::Cancelled,
        })
    }
}

/// The transition table of counts as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> open\n");
    for (from, command, to) in COUNT_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// What of an article was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CountLine {
    /// What is counted.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// How often it has been counted.
    pub rounds: i64,
    /// Whether it is to be counted again: it was too far from what was expected, or something else said meanwhile how many lie there.
    pub recount: bool,
    /// How many were counted last; null while nobody has counted, and while it is to be counted again.
    pub counted: Option<i64>,
    /// How many the level said at that moment; null until all is counted, for people count blind.
    pub on_hand: Option<i64>,
    /// When it was counted last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_at: Option<Instant>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_by: Option<String>,
    /// The level's version at that moment.
    #[serde(skip)]
    pub level_version: Option<i64>,
    /// The last movement by which somebody had said how many lie there: none of it is 0, absent is not known.
    #[serde(skip)]
    pub settled_by: Option<i64>,
}

impl CountLine {
    /// How many more lie there than was thought; none while that is not known.
    #[must_use]
    pub fn difference(&self) -> i64 {
        self.counted.zip(self.on_hand).map_or(0, |(counted, on_hand)| counted - on_hand)
    }
}

/// How far a first count may be off without being repeated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CountTolerance)]
pub struct Tolerance {
    /// So many pieces.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub pieces: i64,
    /// Or so many per cent of what is expected.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 100)]
    pub percent: i64,
}

impl Tolerance {
    /// Whether a difference is within it.
    #[must_use]
    pub fn allows(self, on_hand: i64, counted: i64) -> bool {
        (counted - on_hand).abs() <= self.pieces.max(on_hand.saturating_mul(self.percent) / 100)
    }
}

/// What is kept of a count beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CountDetails {
    pub name: Option<String>,
    pub tolerance: Tolerance,
}

/// A count of what lies at a location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StockCount {
    /// Its id.
    pub id: StockCountId,
    /// Where.
    pub location_id: LocationId,
    /// What it is called: a shelf, a zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it stands.
    pub state: CountState,
    /// How far a first count may be off.
    pub tolerance: Tolerance,
    /// What is counted.
    pub lines: Vec<CountLine>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl StockCount {
    /// Whether nothing is left to count.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.lines.iter().all(|line| line.rounds > 0 && !line.recount)
    }

    /// Lets those lines be counted again whose level somebody has set otherwise since: `now` are a level's version and the last movement
    /// by which that was done. Which these are.
    pub(super) fn overtaken(&mut self, now: impl Fn(VariantId) -> (i64, i64)) -> Vec<VariantId> {
        let mut stale = Vec::new();
        for line in &mut self.lines {
            let (version, settled_by) = now(line.variant_id);
            let same = match line.settled_by {
                Some(seen) => seen == settled_by,
                None => line.level_version == Some(version),
            };
            if !same {
                line.recount = true;
                stale.push(line.variant_id);
            }
        }
        stale
    }

    /// Notes what was counted of an article when the level said `on_hand` at `version`, after `settled_by`. A first count that is too far off is to be
    /// repeated; the second one counts.
    pub(super) fn record(
        &mut self,
        variant: VariantId,
        (counted, on_hand, version, settled_by): (i64, i64, i64, i64),
        (at, by): (Instant, &str),
    ) -> Option<CountLine> {
        let tolerance = self.tolerance;
        let line = self.lines.iter_mut().find(|line| line.variant_id == variant)?;
        line.recount = line.rounds == 0 && !tolerance.allows(on_hand, counted);
        line.rounds += 1;
        (line.counted, line.on_hand, line.level_version) = (Some(counted), Some(on_hand), Some(version));
        line.settled_by = Some(settled_by);
        (line.counted_at, line.counted_by) = (Some(at), Some(by.to_owned()));
        Some(line.clone())
    }

    /// As people see it: as long as something is to be counted, nobody is told what is expected or was counted before.
    #[must_use]
    pub fn blind(mut self) -> Self {
        if matches!(self.state, CountState::Open | CountState::Counting) {
            for line in &mut self.lines {
                line.on_hand = None;
                line.counted = line.counted.filter(|_| !line.recount);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Id;

    fn count(tolerance: Tolerance) -> StockCount {
        let line = CountLine {
            variant_id: Id::new(),
            sku: "A".to_owned(),
            rounds: 0,
            recount: false,
            counted: None,
            on_hand: None,
            counted_at: None,
            counted_by: None,
            level_version: None,
            settled_by: None,
        };
        let at = Instant::from_micros(0);
        StockCount {
            id: Id::new(),
            location_id: Id::new(),
            name: None,
            state: CountState::Open,
            tolerance,
            lines: vec![line],
            version: 1,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn what_is_too_far_off_is_counted_again_and_then_believed() {
        let mut count = count(Tolerance { pieces: 1, percent: 10 });
        let (variant, at) = (count.lines[0].variant_id, Instant::from_micros(1));
        let line = count.record(variant, (17, 20, 4, 1), (at, "ada")).unwrap();
        assert!(line.recount && !count.is_complete() && line.difference() == -3);
        count.state = CountState::Counting;
        let seen = count.clone().blind();
        assert_eq!((seen.lines[0].counted, seen.lines[0].on_hand), (None, None));
        // Meanwhile two were sold.
        let line = count.record(variant, (15, 18, 6, 1), (at, "bob")).unwrap();
        assert!(!line.recount && count.is_complete() && line.difference() == -3);
        // Sales change nothing, another count does.
        assert!(count.overtaken(|_| (7, 1)).is_empty() && count.is_complete());
        assert_eq!((count.overtaken(|_| (7, 2)), count.is_complete()), (vec![variant], false));
        assert!(count.record(Id::new(), (1, 1, 1, 1), (at, "bob")).is_none());
    }

    #[test]
    fn the_wider_tolerance_counts() {
        let allows = |pieces, percent, on_hand, counted| Tolerance { pieces, percent }.allows(on_hand, counted);
        assert!(allows(2, 0, 0, 2) && !allows(2, 0, 0, 3));
        assert!(allows(0, 10, 30, 27) && !allows(0, 10, 30, 26) && !allows(0, 10, 9, 8));
    }

    #[test]
    fn every_transition_is_reached_and_no_other() {
        for (from, command, to) in COUNT_TRANSITIONS {
            let reached = [false, true].map(|complete| from.apply(*command, complete).unwrap());
            assert!(reached.contains(to));
            assert!(reached.iter().all(|to| COUNT_TRANSITIONS.contains(&(*from, *command, *to))));
        }
        assert!(CountState::Approved.takes(CountCommand::Record).is_err());
    }
}

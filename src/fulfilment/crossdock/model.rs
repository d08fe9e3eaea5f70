//! What a match and a task at a dock are, and which orders wait for goods. Pure.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::{
        Instant,
        ids::{DockMatchId, DockTaskId, FulfilmentOrderId, InboundShipmentId, LocationId, VariantId},
    },
};

crate::words! {
    /// How goods cross a dock.
    pub enum Way {
        /// Whole handling units, unopened.
        Direct = "direct",
        /// Received, sorted or packed anew, and out.
        Indirect = "indirect",
        /// Found at the dock: nobody had planned it.
        Opportunistic = "opportunistic",
    }
}

crate::words! {
    /// Where a match stands.
    pub enum MatchState {
        /// Its goods are on their way.
        Planned = "planned",
        /// They are at the dock.
        Received = "received",
        /// They are packed for the order.
        Done = "done",
        /// They go elsewhere.
        Cancelled = "cancelled",
    }
}

crate::words! {
    /// What can become of a match.
    pub enum MatchCommand {
        /// Its goods come.
        Receive = "receive",
        /// They are brought over.
        Load = "load",
        /// They do not come in time, or nobody waits for them any more.
        Cancel = "cancel",
    }
}

/// Every transition of matches there is: from, command, to. What is not here is refused.
pub const DOCK_MATCH_TRANSITIONS: &[(MatchState, MatchCommand, MatchState)] = &[
    (MatchState::Planned, MatchCommand::Receive, MatchState::Received),
    (MatchState::Planned, MatchCommand::Cancel, MatchState::Cancelled),
    (MatchState::Received, MatchCommand::Load, MatchState::Done),
    (MatchState::Received, MatchCommand::Cancel, MatchState::Cancelled),
];

impl MatchState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict` when it does not take the command.
    pub fn apply(self, command: MatchCommand) -> Result<Self> {
        let found = DOCK_MATCH_TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        let refused = || Error::conflict(format!("the match is {self}: `{command}` is not possible"));
        found.map(|(_, _, to)| *to).ok_or_else(refused)
    }
}

/// The transition table of matches as a Mermaid diagram.
#[must_use]
pub fn matches_mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> planned\n    [*] --> received\n");
    for (from, command, to) in DOCK_MATCH_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

crate::words! {
    /// What is to be done at a dock.
    pub enum TaskKind {
        /// Take goods off the lorry.
        Unload = "unload",
        /// Take pieces out for an order.
        Sort = "sort",
        /// Bring them to what leaves, and pack them.
        Load = "load",
        /// Put the rest on its shelf.
        PutAway = "put_away",
    }
}

crate::words! {
    /// Where a task stands.
    pub enum TaskState {
        /// It is to be done.
        Open = "open",
        /// It is done.
        Done = "done",
        /// It need not be done any more.
        Cancelled = "cancelled",
    }
}

/// Every transition of tasks there is: from, command, to.
pub const DOCK_TASK_TRANSITIONS: &[(TaskState, &str, TaskState)] =
    &[(TaskState::Open, "done", TaskState::Done), (TaskState::Open, "cancel", TaskState::Cancelled)];

/// The transition table of tasks as a Mermaid diagram.
#[must_use]
pub fn tasks_mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> open\n");
    for (from, command, to) in DOCK_TASK_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// Goods of an inbound line that go to a line of a fulfilment order without being stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DockMatch {
    /// Its id.
    pub id: DockMatchId,
    /// At whose dock.
    pub location_id: LocationId,
    /// The shipment that brings them.
    pub inbound_shipment_id: InboundShipmentId,
    /// Its line.
    pub inbound_line: i32,
    /// The fulfilment order that takes them.
    pub fulfilment_order_id: FulfilmentOrderId,
    /// The order's line.
    pub line_no: i32,
    /// What they are.
    pub variant_id: VariantId,
    /// The SKU.
    pub sku: String,
    /// The handling unit that passes unopened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sscc: Option<String>,
    /// The lot that they are of: the announced one until they come, then the one in which they came. Where it is absent, the announced one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// How they cross the dock.
    pub way: Way,
    /// Where it stands.
    pub state: MatchState,
    /// How many.
    pub quantity: i64,
    /// Whether they are ready only after the fulfilment order is due.
    pub late: bool,
    /// When they can leave again.
    pub ready_at: Instant,
    /// When the fulfilment order is due.
    pub due_at: Instant,
    /// Why they go elsewhere: `late`, `short`, `cancelled`, `demand_gone`, `lot_withheld`, `other_lot`. More words may come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when.
    pub created_at: Instant,
    /// When they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Instant>,
    /// When they were packed, or given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Instant>,
}

/// Something that is to be done at a dock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DockTask {
    /// Its id.
    pub id: DockTaskId,
    /// At whose dock.
    pub location_id: LocationId,
    /// With whose goods.
    pub inbound_shipment_id: InboundShipmentId,
    /// What.
    pub kind: TaskKind,
    /// Where it stands.
    pub state: TaskState,
    /// The handling unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sscc: Option<String>,
    /// The match that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_id: Option<DockMatchId>,
    /// The fulfilment order that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fulfilment_order_id: Option<FulfilmentOrderId>,
    /// What it is done with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant_id: Option<VariantId>,
    /// The SKU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// How many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// Since when.
    pub created_at: Instant,
    /// When it was done, or given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Instant>,
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
}

const fn yes() -> bool {
    true
}

/// How a location's dock works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"planned": true, "opportunistic": true, "lead_minutes": 60, "min_shelf_life_days": 30}))]
pub struct DockRules {
    /// Whether goods are matched with orders before they come.
    #[serde(default = "yes")]
    pub planned: bool,
    /// Whether what comes is offered to waiting orders at once.
    #[serde(default = "yes")]
    pub opportunistic: bool,
    /// How long goods take from the lorry to the next one.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 10_080)]
    pub lead_minutes: i64,
    /// For so many days goods must still be good when they are ready.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 3650)]
    pub min_shelf_life_days: i64,
    /// How many pieces a day cross the dock at most, as older documents say it: the location says it now, and a migration has told it.
    #[serde(default, skip_serializing)]
    #[schema(ignore)]
    pub daily_capacity: Option<i64>,
}

impl DockRules {
    /// Checks the numbers.
    ///
    /// # Errors
    /// `invalid_value`, with the pointer.
    pub(super) fn check(&self) -> Result<()> {
        if self.daily_capacity.is_some() {
            let detail = "the location says it: set its `dock_units_per_day`";
            return Err(Error::invalid("/daily_capacity", detail));
        }
        let bounds =
            [("/lead_minutes", self.lead_minutes, 10_080), ("/min_shelf_life_days", self.min_shelf_life_days, 3650)];
        match bounds.iter().find(|(_, value, most)| !(0..=*most).contains(value)) {
            None => Ok(()),
            Some((pointer, _, most)) => Err(Error::invalid(*pointer, format!("expected 0 to {most}"))),
        }
    }
}

/// An open line of a fulfilment order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The fulfilment order.
    pub fulfilment_order: FulfilmentOrderId,
    /// The order's line.
    pub line_no: i32,
    /// What it is about.
    pub variant: VariantId,
    /// How many are still to be taken for it.
    pub open: i64,
    /// How many were taken and have not left.
    pub taken: i64,
    /// How many of the open ones are matched.
    pub matched: i64,
    /// How many of those that lie on hand are not there for it: its channel leaves them to others, or they do not keep long enough.
    pub kept_back: i64,
    /// Whether it waits for something else than goods: it takes what lies on hand, and no more is brought to it.
    pub barred: bool,
    /// The highest is served first.
    pub priority: i64,
    /// When it is due.
    pub due_at: Instant,
    /// Since when it waits.
    pub created_at: Instant,
}

/// A line of a fulfilment order that lacks goods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The fulfilment order.
    pub fulfilment_order: FulfilmentOrderId,
    /// The order's line.
    pub line_no: i32,
    /// What it waits for.
    pub variant: VariantId,
    /// How many.
    pub quantity: i64,
    /// The highest is served first.
    pub priority: i64,
    /// When it is due.
    pub due_at: Instant,
    /// Since when it waits.
    pub created_at: Instant,
    /// For so many days goods must still keep when they leave with its order.
    pub keeps_days: i64,
}

/// Which lines lack goods, and how many: what lies on hand goes to those that have waited longest, as everywhere; what was taken
/// for somebody and what is matched at the dock is nobody else's, and what is kept back from one is left to the next.
#[must_use]
pub fn waiting(
    on_hand: &HashMap<VariantId, i64>,
    at_dock: &HashMap<VariantId, i64>,
    mut claims: Vec<Claim>,
) -> Vec<Demand> {
    claims.sort_by_key(|claim| (claim.created_at, claim.fulfilment_order, claim.line_no));
    let mut free: HashMap<VariantId, i64> = HashMap::new();
    for claim in &claims {
        let of = |all: &HashMap<VariantId, i64>| all.get(&claim.variant).copied().unwrap_or_default();
        *free.entry(claim.variant).or_insert_with(|| of(on_hand) - of(at_dock)) -= claim.taken;
    }
    let demand = |claim: Claim| {
        let need = claim.open - claim.matched;
        let free = free.get_mut(&claim.variant)?;
        let given = need.clamp(0, (*free - claim.kept_back).max(0));
        *free -= given;
        (need > given && !claim.barred).then_some(Demand {
            fulfilment_order: claim.fulfilment_order,
            line_no: claim.line_no,
            variant: claim.variant,
            quantity: need - given,
            priority: claim.priority,
            due_at: claim.due_at,
            created_at: claim.created_at,
            keeps_days: 0,
        })
    };
    claims.into_iter().filter_map(demand).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_back_from_one_is_left_to_the_next() {
        let goods: VariantId = crate::kernel::Id::from_bytes([1; 16]);
        let claim = |number: u8, open: i64, kept_back: i64| Claim {
            fulfilment_order: crate::kernel::Id::from_bytes([number; 16]),
            line_no: 1,
            variant: goods,
            open,
            taken: 0,
            matched: 0,
            kept_back,
            barred: false,
            priority: 0,
            due_at: Instant::from_micros(0),
            created_at: Instant::from_micros(i64::from(number)),
        };
        let lacking = |claims: Vec<Claim>, at_dock: i64| {
            let of = |pieces: i64| HashMap::from([(goods, pieces)]);
            let found = waiting(&of(10), &of(at_dock), claims);
            found.into_iter().map(|one| (one.fulfilment_order.bytes()[0], one.quantity)).collect::<Vec<_>>()
        };
        assert_eq!(lacking(vec![claim(1, 8, 0), claim(2, 6, 0)], 0), [(2, 4)]);
        // The first leaves six to others: they are there for the second, which has waited less.
        assert_eq!(lacking(vec![claim(1, 8, 6), claim(2, 6, 0)], 0), [(1, 4)]);
        assert_eq!(lacking(vec![claim(1, 8, 6), claim(2, 6, 0)], 3), [(1, 7)]);
        // What is gone to others before is not left to anybody.
        assert_eq!(lacking(vec![claim(1, 9, 0), claim(2, 3, 6)], 0), [(2, 3)]);
    }
}

//! What a customer's claim is. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    fulfilment::ClaimedPieces,
    kernel::{
        Action, Instant, Money,
        ids::{ChannelId, FulfilmentOrderId, OrderClaimId, OrderId, ReturnId, ShipmentId},
    },
    returns::model::detail,
};

crate::words! {
    /// What a customer claims.
    pub enum OrderClaimKind {
        /// It has not come.
        Lost = "lost",
        /// It came damaged.
        Damaged = "damaged",
        /// Something else came.
        WrongItem = "wrong_item",
        /// The parcel came without it.
        Short = "short",
    }
}

crate::words! {
    /// Where a claim stands.
    pub enum OrderClaimState {
        /// Somebody has to look into it.
        Open = "open",
        /// The customer has their money, or gets the goods again.
        Settled = "settled",
        /// It was refused: its pieces can be claimed or sent back again.
        Rejected = "rejected",
    }
}

crate::words! {
    /// What can be done with a claim.
    pub enum OrderClaimCommand {
        /// Refund it, or send the goods again: all that is open of it.
        Settle = "settle",
        /// The same for some of its pieces.
        SettlePart = "settle_part",
        /// Refuse it.
        Reject = "reject",
        /// Refuse what is open of it, once some of it was settled.
        RejectRest = "reject_rest",
    }
}

crate::words! {
    /// What the customer gets.
    pub enum OrderClaimResolution {
        /// Their money.
        Refund = "refund",
        /// The goods once more.
        Reship = "reship",
    }
}

/// Every transition of claims there is: from, command, to.
pub const ORDER_CLAIM_TRANSITIONS: &[(OrderClaimState, OrderClaimCommand, OrderClaimState)] = &[
    (OrderClaimState::Open, OrderClaimCommand::Settle, OrderClaimState::Settled),
    (OrderClaimState::Open, OrderClaimCommand::SettlePart, OrderClaimState::Open),
    (OrderClaimState::Open, OrderClaimCommand::Reject, OrderClaimState::Rejected),
    (OrderClaimState::Open, OrderClaimCommand::RejectRest, OrderClaimState::Settled),
];

impl OrderClaimState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn apply(self, command: OrderClaimCommand) -> Result<Self> {
        let found = ORDER_CLAIM_TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        let refused = || Error::conflict(format!("a claim that is {self} takes no `{command}`"));
        found.map(|(_, _, to)| *to).ok_or_else(refused)
    }
}

/// The transition table of claims as a Mermaid diagram.
#[must_use]
pub fn order_claims_mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> open\n");
    for (from, command, to) in ORDER_CLAIM_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// Claimed pieces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ClaimedLine {
    /// The order's line.
    pub line_no: i32,
    /// Its SKU.
    pub sku: String,
    /// How many.
    pub quantity: i64,
    /// How many of these the customer has got their money for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refunded: i64,
    /// How many of these were sent again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reshipped: i64,
    /// How many of these nobody gets anything for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: i64,
    /// In which parcels they have left, as far as that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parcels: Vec<ClaimedParcel>,
}

/// Claimed pieces of a line in one parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OrderClaimParcel)]
pub struct ClaimedParcel {
    /// The parcel.
    pub shipment_id: ShipmentId,
    /// How many pieces of it.
    pub quantity: i64,
    /// About how many of these nobody has decided.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub open: i64,
}

const fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl ClaimedLine {
    /// About how many pieces nobody has decided; of a claim that is open.
    #[must_use]
    pub const fn open(&self) -> i64 {
        self.quantity - self.refunded - self.reshipped - self.refused
    }
}

/// What was decided on some pieces of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OrderClaimPart)]
pub struct ClaimPart {
    /// What the customer got.
    pub resolution: OrderClaimResolution,
    /// How many pieces of each line: line number and quantity.
    #[schema(value_type = BTreeMap<String, i64>, example = json!({"1": 2}))]
    pub pieces: BTreeMap<i32, i64>,
    /// The return that was booked with a refund; nothing has come back with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_id: Option<ReturnId>,
    /// What goes back to the customer, or is not owed any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The fulfilment orders that send the goods again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reshipped_by: Vec<FulfilmentOrderId>,
    /// Why it was so decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who has decided.
    pub by: String,
    /// When.
    pub at: Instant,
}

/// What is kept of a claim beside its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClaimDetails {
    pub lines: Vec<ClaimedLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    pub by_customer: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<OrderClaimResolution>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_id: Option<ReturnId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reshipped_by: Vec<FulfilmentOrderId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<ClaimPart>,
}

/// What a customer claims of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrderClaimDocument {
    /// Its id.
    pub id: OrderClaimId,
    /// The number that people use.
    pub number: String,
    /// The order.
    pub order_id: OrderId,
    /// The order's number.
    pub order_number: String,
    /// Where it was sold.
    pub channel_id: ChannelId,
    /// What is claimed. More words may come.
    pub kind: OrderClaimKind,
    /// Where it stands. More words may come.
    pub state: OrderClaimState,
    /// Since when.
    pub state_since: Instant,
    /// The parcel it is about, where that was said. What its carrier says of it stands at `/v1/ops/shipments/{id}/claim`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<ShipmentId>,
    /// Of which lines.
    pub lines: Vec<ClaimedLine>,
    /// What the customer says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the customer has opened it themselves.
    pub by_customer: bool,
    /// What the customer got; the last, where pieces were settled one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<OrderClaimResolution>,
    /// Why it was so decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The return that was booked with a refund, the last of several; nothing has come back with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_id: Option<ReturnId>,
    /// What goes back to the customer, or is not owed any more, together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The fulfilment orders that send the goods again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reshipped_by: Vec<FulfilmentOrderId>,
    /// What was decided, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<ClaimPart>,
    /// Rises with every change.
    pub version: i64,
    /// When it was opened.
    pub opened_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl OrderClaimDocument {
    /// The same as shoppers see it: not who of the staff has decided.
    #[must_use]
    pub fn for_shopper(&self) -> Self {
        let mut shown = self.clone();
        for part in &mut shown.parts {
            "shop".clone_into(&mut part.by);
        }
        shown
    }

    /// About how many pieces of each line nobody has decided yet.
    #[must_use]
    pub fn pieces(&self) -> BTreeMap<i32, i64> {
        self.lines.iter().map(|line| (line.line_no, line.open())).filter(|(_, open)| *open > 0).collect()
    }

    /// Takes pieces that are decided on out of the parcels in which they are open: of one parcel where it is named, else of the oldest first.
    /// Gives where they were.
    pub fn take(&mut self, pieces: &BTreeMap<i32, i64>, only: Option<ShipmentId>) -> Vec<ClaimedPieces> {
        let mut taken = Vec::new();
        for line in &mut self.lines {
            let mut left = pieces.get(&line.line_no).copied().unwrap_or_default();
            for parcel in line.parcels.iter_mut().filter(|one| only.is_none_or(|only| one.shipment_id == only)) {
                let quantity = parcel.open.min(left);
                if quantity > 0 {
                    (parcel.open, left) = (parcel.open - quantity, left - quantity);
                    taken.push(ClaimedPieces { shipment: parcel.shipment_id, line_no: line.line_no, quantity });
                }
            }
        }
        taken
    }

    /// The parcel in which all these pieces are open, where there is one.
    #[must_use]
    pub fn parcel_with(&self, pieces: &BTreeMap<i32, i64>) -> Option<ShipmentId> {
        let open = |id: ShipmentId, line_no: i32| {
            let line = self.lines.iter().find(|line| line.line_no == line_no);
            let parcels = line.into_iter().flat_map(|line| &line.parcels).filter(|one| one.shipment_id == id);
            parcels.map(|one| one.open).sum::<i64>()
        };
        let has_all = |id: &ShipmentId| pieces.iter().all(|(line_no, wanted)| open(*id, *line_no) >= *wanted);
        self.parcels().find(has_all)
    }

    /// The parcels that have claimed pieces, as far as that is known.
    pub fn parcels(&self) -> impl Iterator<Item = ShipmentId> {
        self.lines.iter().flat_map(|line| &line.parcels).map(|one| one.shipment_id)
    }

    /// Notes what was decided on some pieces, all of which are open, and goes to where that leads.
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn decide(&mut self, part: ClaimPart) -> Result<()> {
        for line in &mut self.lines {
            let decided = part.pieces.get(&line.line_no).copied().unwrap_or_default();
            match part.resolution {
                OrderClaimResolution::Refund => line.refunded += decided,
                OrderClaimResolution::Reship => line.reshipped += decided,
            }
        }
        let rest = self.lines.iter().any(|line| line.open() > 0);
        self.advance(if rest { OrderClaimCommand::SettlePart } else { OrderClaimCommand::Settle }, part.at)?;
        (self.resolution, self.reason) = (Some(part.resolution), part.reason.clone());
        if let Some(amount) = part.amount {
            let before = self.amount.map_or(0, |before| before.minor());
            self.amount = Some(Money::from_minor(before.saturating_add(amount.minor()), amount.currency()));
        }
        self.return_id = part.return_id.or(self.return_id);
        self.reshipped_by.extend(&part.reshipped_by);
        self.parts.push(part);
        Ok(())
    }

    /// Refuses what is open of it.
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn refuse(&mut self, reason: &str, now: Instant) -> Result<()> {
        let some = !self.parts.is_empty();
        self.advance(if some { OrderClaimCommand::RejectRest } else { OrderClaimCommand::Reject }, now)?;
        for line in &mut self.lines {
            line.refused += line.open();
        }
        self.reason = Some(reason.to_owned());
        Ok(())
    }

    /// Goes to where a command leads.
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn advance(&mut self, command: OrderClaimCommand, now: Instant) -> Result<()> {
        let next = self.state.apply(command)?;
        if next != self.state {
            (self.state, self.state_since) = (next, now);
        }
        (self.updated_at, self.version) = (now, self.version + 1);
        Ok(())
    }

    /// What can be done with it now, or why not.
    #[must_use]
    pub fn actions(&self) -> Vec<Action> {
        let action = |command: &OrderClaimCommand| {
            Action::of(command.as_str(), self.state.apply(*command).map(|_| ()).map_err(|error| detail(&error)))
        };
        // Parts of it are settled, and refused, by the same commands.
        [OrderClaimCommand::Settle, OrderClaimCommand::Reject].iter().map(action).collect()
    }
}

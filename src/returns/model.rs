//! What a request to send goods back is, where it can go, and what is counted of it. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{advances::Advance, policy::LineVerdict};
use crate::{
    error::{Code, Error, Result},
    kernel::{
        Action, Actor, Instant, Money,
        ids::{
            ChannelId, CustomerId, LocationId, OrderId, RegistrationId, ReturnId, ReturnRequestId, ShipmentId,
            VariantId, WithdrawalId,
        },
    },
};

crate::words! {
    /// Where a return request stands. More words may come.
    pub enum RequestState {
        /// Somebody has to decide.
        Requested = "requested",
        /// The goods may be sent.
        Approved = "approved",
        /// They may not.
        Rejected = "rejected",
        /// They are on their way, as far as is known.
        InTransit = "in_transit",
        /// Some or all are here, and not all of these have been looked at.
        Received = "received",
        /// All that is here has been looked at.
        Inspected = "inspected",
        /// The money has gone back, or the customer has got something else for it.
        Settled = "settled",
        /// It was taken back before anything came.
        Cancelled = "cancelled",
        /// Nothing came in time.
        Expired = "expired",
    }
}

crate::words! {
    /// What can be done with a return request.
    pub enum RequestCommand {
        /// The goods may be sent.
        Approve = "approve",
        /// They may not.
        Reject = "reject",
        /// A label, or the number of a parcel, is known.
        Track = "track",
        /// Goods have come.
        Receive = "receive",
        /// Some of what has come was looked at.
        InspectPart = "inspect_part",
        /// All that has come was looked at.
        Inspect = "inspect",
        /// What was looked at is settled with the customer.
        Settle = "settle",
        /// It is settled before the goods were looked at, or without them.
        SettleAhead = "settle_ahead",
        /// It is taken back.
        Cancel = "cancel",
        /// Nothing came in time.
        Expire = "expire",
    }
}

/// Every transition of return requests there is: from, command, to.
pub const REQUEST_TRANSITIONS: &[(RequestState, RequestCommand, RequestState)] = {
    use RequestCommand as C;
    use RequestState as S;
    &[
        (S::Requested, C::Approve, S::Approved),
        (S::Requested, C::Reject, S::Rejected),
        (S::Requested, C::Cancel, S::Cancelled),
        (S::Approved, C::Track, S::InTransit),
        (S::Approved, C::Receive, S::Received),
        (S::Approved, C::SettleAhead, S::Settled),
        (S::Approved, C::Cancel, S::Cancelled),
        (S::Approved, C::Expire, S::Expired),
        (S::InTransit, C::Track, S::InTransit),
        (S::InTransit, C::Receive, S::Received),
        (S::InTransit, C::SettleAhead, S::Settled),
        (S::InTransit, C::Cancel, S::Cancelled),
        (S::InTransit, C::Expire, S::Expired),
        (S::Received, C::Receive, S::Received),
        (S::Received, C::InspectPart, S::Received),
        (S::Received, C::Inspect, S::Inspected),
        (S::Received, C::SettleAhead, S::Settled),
        // Only while no piece of the order has come: what came is another's.
        (S::Received, C::Reject, S::Rejected),
        (S::Received, C::Cancel, S::Cancelled),
        (S::Inspected, C::Receive, S::Received),
        (S::Inspected, C::Settle, S::Settled),
        // What was settled ahead comes after all.
        (S::Settled, C::Receive, S::Settled),
        (S::Settled, C::InspectPart, S::Settled),
        (S::Settled, C::Inspect, S::Settled),
    ]
};

impl RequestState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn apply(self, command: RequestCommand) -> Result<Self> {
        let found = REQUEST_TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        let refused = || Error::conflict(format!("a return request that is {self} takes no `{command}`"));
        found.map(|(_, _, to)| *to).ok_or_else(refused)
    }

    /// Whether it keeps pieces of the order's lines for itself.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Requested | Self::Approved | Self::InTransit | Self::Received | Self::Inspected)
    }
}

/// The transition table of return requests as a Mermaid diagram.
#[must_use]
pub fn requests_mermaid() -> String {
    let mut text =
        String::from("stateDiagram-v2\n    [*] --> requested\n    [*] --> approved: (the policy says yes)\n");
    for (from, command, to) in REQUEST_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

crate::words! {
    /// Why goods come back. More words may come.
    pub enum ReturnReason {
        /// Too small.
        TooSmall = "too_small",
        /// Too large.
        TooLarge = "too_large",
        /// It is not wanted any more, or not liked.
        ChangedMind = "changed_mind",
        /// It does not look, or is not, as it was described.
        NotAsDescribed = "not_as_described",
        /// It does not work.
        Defective = "defective",
        /// It came damaged.
        Damaged = "damaged",
        /// Something else came.
        WrongItem = "wrong_item",
        /// It came too late.
        TooLate = "too_late",
        /// It was a present.
        Gift = "gift",
        /// The parcel was refused, or was not collected.
        Refused = "refused",
        /// The contract was withdrawn from.
        Withdrawal = "withdrawal",
        /// Something else.
        Other = "other",
    }
}

impl ReturnReason {
    /// Whether the shop answers for it: it bears the cost then, and the period of the policy is not what counts.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::NotAsDescribed | Self::Defective | Self::Damaged | Self::WrongItem | Self::TooLate)
    }
}

crate::words! {
    /// What the customer wants for the goods.
    pub enum ReturnWish {
        /// Their money back.
        Refund = "refund",
        /// Store credit.
        StoreCredit = "store_credit",
        /// Other goods: store credit, with which they are ordered.
        Exchange = "exchange",
        /// A gift card: the customer's, or of a present nobody's.
        GiftCard = "gift_card",
    }
}

crate::words! {
    /// Where a return request came from.
    pub enum RequestOrigin {
        /// The customer has asked for it.
        Customer = "customer",
        /// Staff have.
        Staff = "staff",
        /// The customer has withdrawn from the contract.
        Withdrawal = "withdrawal",
        /// The carrier brings the parcel back.
        Carrier = "carrier",
        /// Somebody has claimed on the warranty of what they have registered.
        Warranty = "warranty",
        /// Somebody was given it: the buyer is not told.
        Gift = "gift",
    }
}

crate::words! {
    /// In what shape goods came back, the best first.
    pub enum ReturnGrade {
        /// As new.
        A = "a",
        /// Opened, complete.
        B = "b",
        /// Used, or incomplete.
        C = "c",
        /// Broken.
        D = "d",
    }
}

crate::words! {
    /// What becomes of goods that came back.
    pub enum Disposition {
        /// They can be sold again: booked in where they are, into the lots in which they left.
        Restock = "restock",
        /// They are made fit to be sold first.
        Refurbish = "refurbish",
        /// They are kept apart until somebody knows.
        Quarantine = "quarantine",
        /// They are thrown away.
        Scrap = "scrap",
    }
}

/// Pieces that were looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Inspected {
    /// How many.
    pub quantity: i64,
    /// In what shape they are.
    pub grade: ReturnGrade,
    /// What becomes of them.
    pub disposition: Disposition,
    /// Where they were booked in; absent where they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_id: Option<LocationId>,
    /// The number of their lot, as it stands on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// What was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who has looked.
    pub by: String,
    /// When.
    pub at: Instant,
}

impl Inspected {
    /// Whether they went into stock.
    #[must_use]
    pub fn is_booked(&self) -> bool {
        self.disposition == Disposition::Restock || self.location_id.is_some()
    }
}

/// A line of a return request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RequestLine {
    /// The order's line.
    pub line_no: i32,
    /// What comes back.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// How many were announced; 0 for what came unannounced.
    pub quantity: i64,
    /// How many of the order's line are kept for it until it is settled: nobody else can take these back.
    pub kept: i64,
    /// Why.
    pub reason: ReturnReason,
    /// How many have come.
    pub received: i64,
    /// How many of these are more than can come back of the order's line.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub surplus: i64,
    /// How many were settled with the customer; absent before. What comes beyond these afterwards is surplus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<i64>,
    /// What was looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inspected: Vec<Inspected>,
    /// What the policy says of it, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<LineVerdict>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl RequestLine {
    /// How many of those that come are no surplus: those that it keeps or has announced, and once it is settled those that were.
    #[must_use]
    pub fn expected(&self) -> i64 {
        self.settled.unwrap_or_else(|| self.kept.max(self.quantity))
    }

    /// How many of those that came can still be booked into stock. Surplus never is, so that however often goods come no more of the order's
    /// line go back than have left: those that are no surplus are kept, and what is kept of a line a CHECK of its row holds.
    #[must_use]
    pub fn bookable(&self) -> i64 {
        let booked = self.inspected.iter().filter(|one| one.is_booked()).map(|one| one.quantity).sum::<i64>();
        (self.received - self.surplus - booked).max(0)
    }

    /// How many of those that came nobody has looked at.
    #[must_use]
    pub fn unseen(&self) -> i64 {
        self.received - self.inspected.iter().map(|one| one.quantity).sum::<i64>()
    }
}

/// Goods that came and are not of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ForeignGoods {
    /// Their SKU, or what stands on them.
    pub sku: String,
    /// How many.
    pub quantity: i64,
    /// What was noted of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The parcel that brings goods back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReturnParcel {
    /// Who carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// What the carrier calls it.
    pub tracking_number: String,
    /// Where its label is printed from, where the shop gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_url: Option<String>,
    /// Whether the shop pays it, and may keep what it costs where the customer bears that.
    pub by_shop: bool,
}

/// That somebody has decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ReturnDecision)]
pub struct Decision {
    /// Who; `policy` where nobody had to.
    pub by: String,
    /// When.
    pub at: Instant,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How it was settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ReturnSettlement)]
pub struct Settlement {
    /// What the customer got.
    pub wish: ReturnWish,
    /// The return that was booked with it: its lines tell the amounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_id: Option<ReturnId>,
    /// What goes back to the customer, or is not owed any more: shipping included, fees taken off.
    pub amount: Money,
    /// What of it they got as store credit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_credit: Option<Money>,
    /// What was kept, tax included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deducted: Option<Money>,
    /// The order that was placed in exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange_order_id: Option<OrderId>,
    /// Who has settled it.
    pub by: String,
    /// When.
    pub at: Instant,
}

/// What is kept of a request beside its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RequestDetails {
    pub wish: ReturnWish,
    pub lines: Vec<RequestLine>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<ForeignGoods>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parcel: Option<ReturnParcel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_id: Option<LocationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settlement: Option<Settlement>,
    #[serde(default)]
    pub whole_order: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_fee: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advance: Option<Advance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<RegistrationId>,
}

/// A request to send goods back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReturnRequestDocument {
    /// Its id.
    pub id: ReturnRequestId,
    /// The number that people use: it goes onto the parcel.
    pub number: String,
    /// The order.
    pub order_id: OrderId,
    /// The order's number.
    pub order_number: String,
    /// Where it was sold.
    pub channel_id: ChannelId,
    /// To whom, when they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// Where the request came from. More words may come.
    pub origin: RequestOrigin,
    /// Where it stands. More words may come.
    pub state: RequestState,
    /// Since when.
    pub state_since: Instant,
    /// What the customer wants.
    pub wish: ReturnWish,
    /// What comes back.
    pub lines: Vec<RequestLine>,
    /// What came and is not of the order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<ForeignGoods>,
    /// What the customer says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Who has approved or rejected it, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// The parcel that brings it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parcel: Option<ReturnParcel>,
    /// Where it was received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_id: Option<LocationId>,
    /// How it was settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settlement: Option<Settlement>,
    /// What is kept of the refund for a label of the shop's, where the customer bears the way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipping_fee: Option<Money>,
    /// What was sent in exchange before its goods have come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advance: Option<Advance>,
    /// The registered product on whose warranty it is a claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<RegistrationId>,
    /// Whether all of the order is withdrawn from: its shipping is given back too.
    pub whole_order: bool,
    /// The parcel that its carrier brings back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<ShipmentId>,
    /// The withdrawal that it carries out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawal_id: Option<WithdrawalId>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub requested_at: Instant,
    /// When it is over if nothing comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
    /// When it last changed.
    pub updated_at: Instant,
}

impl ReturnRequestDocument {
    /// Whether somebody may see it: of their channels, and at their locations once it has come to one. Shoppers have none: whose order
    /// it is decides for them.
    #[must_use]
    pub fn is_visible_to(&self, actor: &Actor) -> bool {
        let here = |location| matches!(actor, Actor::Shopper(_)) || actor.sees_location(location);
        actor.sees_channel(self.channel_id) && self.location_id.is_none_or(here)
    }

    /// How many pieces of each of the order's lines it keeps for itself.
    #[must_use]
    pub fn kept(&self) -> BTreeMap<i32, i64> {
        let lines = self.lines.iter().filter(|line| line.kept > 0);
        lines.map(|line| (line.line_no, line.kept)).collect()
    }

    /// How many pieces of each line are settled when it is settled now: those that came, or `all` that it keeps.
    ///
    /// # Errors
    /// `state_conflict` when that is none.
    pub fn settling(&self, all: bool) -> Result<BTreeMap<i32, i64>> {
        let part = |line: &RequestLine| if all { line.kept } else { line.kept.min(line.received) };
        let parts: BTreeMap<i32, i64> =
            self.lines.iter().map(|line| (line.line_no, part(line))).filter(|(_, pieces)| *pieces > 0).collect();
        match parts.is_empty() {
            true => Err(Error::conflict("nothing of it has come: settle it `without_goods`, or wait for them")),
            false => Ok(parts),
        }
    }

    /// Where a command leads: as the table says, and nothing ends without a settlement of which pieces of the order have come.
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn after(&self, command: RequestCommand) -> Result<RequestState> {
        let next = self.state.apply(command)?;
        let ends = matches!(command, RequestCommand::Reject | RequestCommand::Cancel);
        match ends && self.lines.iter().any(|line| line.received > 0) {
            true => Err(Error::conflict("goods of the order have come: look at them and settle it")),
            false => Ok(next),
        }
    }

    /// The order in exchange whose money waits for what comes back.
    #[must_use]
    pub fn sent_in_exchange(&self) -> Option<OrderId> {
        self.advance.as_ref().and_then(Advance::waiting)
    }

    /// Whether it gives way to a withdrawal from its goods though it was decided on: nothing of it is settled.
    #[must_use]
    pub fn is_convertible(&self) -> bool {
        let came = self.lines.iter().any(|line| line.received > 0);
        let is_free = self.state.is_open() && self.state != RequestState::Requested;
        // What who was given it has sent back already is theirs.
        self.withdrawal_id.is_none() && is_free && !(came && self.is_of_gift())
    }

    /// Whether it is of who was given its goods, and not of who has bought them.
    #[must_use]
    pub fn is_of_gift(&self) -> bool {
        self.origin == RequestOrigin::Gift && self.withdrawal_id.is_none()
    }

    /// Makes it one that carries out a withdrawal: no fee is kept, nothing but that it is settled ends it, and the wish for something else
    /// than money stays only where the customer has uttered it.
    pub fn convert(&mut self, withdrawal: WithdrawalId, whole: bool, now: Instant) {
        (self.withdrawal_id, self.expires_at) = (Some(withdrawal), None);
        self.whole_order = self.whole_order || whole;
        if self.origin != RequestOrigin::Customer {
            self.wish = ReturnWish::Refund;
        }
        // What whoever was given it has written is nothing for who has bought it.
        if self.origin == RequestOrigin::Gift {
            self.comment = None;
        }
        (self.version, self.updated_at) = (self.version + 1, now);
    }

    /// Goes to where a command leads.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub fn advance(&mut self, command: RequestCommand, now: Instant) -> Result<()> {
        let next = self.after(command)?;
        if next != self.state {
            (self.state, self.state_since) = (next, now);
        }
        (self.version, self.updated_at) = (self.version + 1, now);
        Ok(())
    }

    /// The line of it that is of a line of the order.
    ///
    /// # Errors
    /// `line_unknown`.
    pub fn line_mut(&mut self, line_no: i32) -> Result<&mut RequestLine> {
        let unknown = || Error::problem(Code::LineUnknown, format!("the request has no line {line_no}"));
        self.lines.iter_mut().find(|line| line.line_no == line_no).ok_or_else(unknown)
    }

    /// What can be done with it now, or why not.
    #[must_use]
    pub fn actions(&self) -> Vec<Action> {
        let action = |command: &RequestCommand| {
            Action::of(command.as_str(), self.after(*command).map(|_| ()).map_err(|error| detail(&error)))
        };
        RequestCommand::ALL.iter().filter(|command| **command != RequestCommand::Expire).map(action).collect()
    }

    /// The same without what staff write about goods and themselves.
    #[must_use]
    pub fn for_shopper(&self) -> Self {
        let mut shown = self.clone();
        for line in &mut shown.lines {
            for one in &mut line.inspected {
                (one.note, one.location_id) = (None, None);
                "staff".clone_into(&mut one.by);
            }
        }
        shown.foreign.clear();
        shown.location_id = None;
        if let Some(decision) = &mut shown.decision {
            "shop".clone_into(&mut decision.by);
        }
        if let Some(advance) = &mut shown.advance {
            "shop".clone_into(&mut advance.by);
        }
        if let Some(settlement) = &mut shown.settlement {
            "shop".clone_into(&mut settlement.by);
        }
        shown
    }
}

/// What is wrong, in words.
pub(super) fn detail(error: &Error) -> String {
    match error {
        Error::Problem(problem) => problem.detail.clone(),
        other => other.code().as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_keeps_nothing_and_goes_nowhere_but_to_take_goods_in() {
        for state in RequestState::ALL.iter().filter(|state| !state.is_open()) {
            for command in RequestCommand::ALL {
                let Ok(next) = state.apply(*command) else { continue };
                assert_eq!((*state, next), (RequestState::Settled, RequestState::Settled));
            }
        }
    }

    #[test]
    fn each_command_leads_from_a_state_to_one_other() {
        for (from, command, _) in REQUEST_TRANSITIONS {
            let same = REQUEST_TRANSITIONS.iter().filter(|(state, with, _)| (state, with) == (from, command));
            assert_eq!(same.count(), 1, "{from} {command}");
        }
    }
}

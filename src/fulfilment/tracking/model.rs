//! Where a parcel is, decided by what was heard of it; claims. Pure.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::{
        Instant,
        ids::{ChannelId, FulfilmentOrderId, LocationId, OrderId, ShipmentId},
    },
};

crate::words! {
    /// Where a parcel is, as its carrier says. More words may come.
    pub enum Tracking {
        /// Nothing was heard of it on its way yet.
        Announced = "announced",
        /// The carrier has it.
        InTransit = "in_transit",
        /// It is on the last leg.
        OutForDelivery = "out_for_delivery",
        /// Nobody was there, or the address is wrong: it is tried again.
        FailedAttempt = "failed_attempt",
        /// It goes back to where it left from.
        ReturnedToSender = "returned_to_sender",
        /// The carrier does not know where it is.
        Lost = "lost",
        /// It has arrived.
        Delivered = "delivered",
    }
}

use Tracking as T;

/// Every way from one place to another there is: from, and the mark that leads to the place it names. A mark that leads nowhere from
/// where a parcel is changes nothing: what has arrived stays there.
pub const TRACKING_TRANSITIONS: &[(Tracking, Tracking)] = &[
    (T::Announced, T::InTransit),
    (T::Announced, T::OutForDelivery),
    (T::Announced, T::FailedAttempt),
    (T::Announced, T::ReturnedToSender),
    (T::Announced, T::Lost),
    (T::Announced, T::Delivered),
    (T::InTransit, T::OutForDelivery),
    (T::InTransit, T::FailedAttempt),
    (T::InTransit, T::ReturnedToSender),
    (T::InTransit, T::Lost),
    (T::InTransit, T::Delivered),
    (T::OutForDelivery, T::InTransit),
    (T::OutForDelivery, T::FailedAttempt),
    (T::OutForDelivery, T::ReturnedToSender),
    (T::OutForDelivery, T::Lost),
    (T::OutForDelivery, T::Delivered),
    (T::FailedAttempt, T::InTransit),
    (T::FailedAttempt, T::OutForDelivery),
    (T::FailedAttempt, T::ReturnedToSender),
    (T::FailedAttempt, T::Lost),
    (T::FailedAttempt, T::Delivered),
    // On its way back it passes the same places: they do not mean that it comes after all.
    (T::ReturnedToSender, T::Lost),
    (T::ReturnedToSender, T::Delivered),
    // What was lost turns up.
    (T::Lost, T::InTransit),
    (T::Lost, T::OutForDelivery),
    (T::Lost, T::FailedAttempt),
    (T::Lost, T::ReturnedToSender),
    (T::Lost, T::Delivered),
];

/// The transition table of parcels on their way as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> announced\n");
    for (from, to) in TRACKING_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: scan\n"));
    }
    text
}

/// Something heard of a parcel: when, and what. Their order is that of time; of what is said of one moment, the later word of
/// [`Tracking`] counts last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// When it was so.
    pub at: Instant,
    /// What.
    pub what: Tracking,
}

/// Where a parcel is by all that was heard of it, in whatever order that came and however often, and which mark says so.
#[must_use]
pub fn whereabouts(marks: &[Mark]) -> (Tracking, Option<Mark>) {
    let mut marks = marks.to_vec();
    marks.sort_unstable();
    marks.into_iter().fold((T::Announced, None), |(place, by), mark| {
        match TRACKING_TRANSITIONS.contains(&(place, mark.what)) {
            true => (mark.what, Some(mark)),
            false => (place, by),
        }
    })
}

impl Tracking {
    /// The type of the event that tells of it. Arriving is told by the shipment's own.
    #[must_use]
    pub const fn event(self) -> Option<&'static str> {
        match self {
            T::Announced | T::Delivered => None,
            T::InTransit => Some("shipment.in_transit.v1"),
            T::OutForDelivery => Some("shipment.out_for_delivery.v1"),
            T::FailedAttempt => Some("shipment.attempt_failed.v1"),
            T::ReturnedToSender => Some("shipment.returned_to_sender.v1"),
            T::Lost => Some("shipment.lost.v1"),
        }
    }

    /// What somebody has to see to.
    #[must_use]
    pub const fn claim(self) -> Option<ClaimKind> {
        match self {
            T::Lost => Some(ClaimKind::Lost),
            T::ReturnedToSender => Some(ClaimKind::ReturnedToSender),
            _ => None,
        }
    }
}

crate::words! {
    /// Why a parcel did not arrive.
    pub enum ClaimKind {
        /// The carrier does not know where it is.
        Lost = "lost",
        /// It comes back.
        ReturnedToSender = "returned_to_sender",
    }
}

crate::words! {
    /// Where a claim stands.
    pub enum ClaimState {
        /// Somebody has to see to it.
        Open = "open",
        /// It has arrived after all, or was found.
        Withdrawn = "withdrawn",
        /// Somebody has seen to it.
        Settled = "settled",
    }
}

crate::words! {
    /// What happens to a claim.
    pub enum ClaimCommand {
        /// The parcel is lost, or comes back (again).
        Open = "open",
        /// It is on its way, or has arrived.
        Withdraw = "withdraw",
        /// Somebody has seen to it.
        Settle = "settle",
    }
}

/// Every transition of claims there is: from, command, to. What is not here is refused.
pub const CLAIM_TRANSITIONS: &[(ClaimState, ClaimCommand, ClaimState)] = &[
    (ClaimState::Open, ClaimCommand::Open, ClaimState::Open),
    (ClaimState::Open, ClaimCommand::Withdraw, ClaimState::Withdrawn),
    (ClaimState::Open, ClaimCommand::Settle, ClaimState::Settled),
    (ClaimState::Withdrawn, ClaimCommand::Open, ClaimState::Open),
];

/// The transition table of claims as a Mermaid diagram.
#[must_use]
pub fn claims_mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> open\n");
    for (from, command, to) in CLAIM_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

impl ClaimState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict` when it does not take it.
    pub fn apply(self, command: ClaimCommand) -> Result<Self> {
        let found = CLAIM_TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        let refused = || Error::conflict(format!("the claim is {self}: `{command}` is not possible"));
        found.map(|(_, _, to)| *to).ok_or_else(refused)
    }

    /// The states that a command is possible in.
    pub fn before(command: ClaimCommand) -> impl Iterator<Item = Self> {
        CLAIM_TRANSITIONS.iter().filter(move |(_, with, _)| *with == command).map(|(from, ..)| *from)
    }
}

crate::words! {
    /// How somebody has seen to a parcel that did not arrive.
    pub enum Resolution {
        /// The same goods are sent again. Of a lost parcel, fulfilment orders are opened for them with it.
        Reshipped = "reshipped",
        /// The customer got their money back.
        Refunded = "refunded",
        /// It is back, and was booked as a return.
        Received = "received",
        /// The carrier pays for it.
        Compensated = "compensated",
        /// Nothing is to be done.
        Dismissed = "dismissed",
    }
}

/// What came of a parcel that did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShipmentClaim {
    /// The parcel.
    pub shipment_id: ShipmentId,
    /// The order.
    pub order_id: OrderId,
    /// Its number.
    pub order_number: String,
    /// Where it was sold.
    pub channel_id: ChannelId,
    /// Where it had left from.
    pub location_id: LocationId,
    /// Why it did not arrive.
    pub kind: ClaimKind,
    /// Where the claim stands. More states may come.
    pub state: ClaimState,
    /// Since when the carrier says so.
    pub since: Instant,
    /// How somebody has seen to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// What they noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The fulfilment orders that ship its goods again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reshipped_by: Vec<FulfilmentOrderId>,
    /// Rises with every change.
    pub version: i64,
    /// When it last changed.
    pub updated_at: Instant,
}

/// What is kept of a claim beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClaimDetails {
    #[serde(default)]
    pub resolution: Option<Resolution>,
    #[serde(default)]
    pub note: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reshipped_by: Vec<FulfilmentOrderId>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark(at: i64, what: Tracking) -> Mark {
        Mark { at: Instant::from_micros(at), what }
    }

    #[test]
    fn what_has_arrived_stays_there_and_what_goes_back_does_not_come() {
        let marks = [mark(1, T::InTransit), mark(2, T::Delivered), mark(3, T::OutForDelivery), mark(4, T::Lost)];
        assert_eq!(whereabouts(&marks), (T::Delivered, Some(mark(2, T::Delivered))));
        let back = [mark(1, T::FailedAttempt), mark(2, T::ReturnedToSender), mark(3, T::InTransit)];
        assert_eq!(whereabouts(&back).0, T::ReturnedToSender);
        assert_eq!(whereabouts(&[mark(1, T::Lost), mark(2, T::OutForDelivery)]).0, T::OutForDelivery);
        assert_eq!(whereabouts(&[mark(2, T::Lost), mark(1, T::OutForDelivery)]).0, T::Lost);
        assert_eq!(whereabouts(&[]), (T::Announced, None));
    }

    proptest! {
        /// Marks that come one by one, in any order and some twice, end where they do when all are known at once; and what has
        /// arrived at any time in between has arrived in the end.
        #[test]
        fn marks_in_any_order_end_at_the_same_place(
            marks in prop::collection::vec((0i64..6, prop::sample::select(Tracking::ALL.to_vec())), 0..12),
            shuffled in any::<prop::sample::Index>(),
            doubled in any::<prop::sample::Index>(),
            seed in any::<u64>(),
        ) {
            let marks: Vec<Mark> = marks.into_iter().map(|(at, what)| mark(at, what)).collect();
            let mut coming = marks.clone();
            if !coming.is_empty() {
                coming.push(marks[doubled.index(marks.len())]);
                let len = coming.len();
                coming.rotate_left(shuffled.index(len));
                let mut state = seed;
                for place in (1..len).rev() {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    coming.swap(place, usize::try_from(state >> 33).unwrap() % (place + 1));
                }
            }
            let (mut kept, mut arrived) = (std::collections::BTreeSet::new(), false);
            for mark in coming {
                kept.insert(mark);
                let place = whereabouts(&kept.iter().copied().collect::<Vec<_>>()).0;
                prop_assert!(!arrived || place == T::Delivered);
                arrived |= place == T::Delivered;
            }
            prop_assert_eq!(whereabouts(&kept.into_iter().collect::<Vec<_>>()), whereabouts(&marks));
        }
    }
}

//! Where claimed pieces lie. Pure.

use std::collections::BTreeMap;

use crate::{
    fulfilment::{Shipment, model::ShipmentState, tracking::Tracking},
    kernel::ids::ShipmentId,
};

/// Pieces of an order's line in one of its parcels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimedPieces {
    /// The parcel.
    pub shipment: ShipmentId,
    /// The order's line.
    pub line_no: i32,
    /// How many.
    pub quantity: i64,
}

/// What is known of a line of a parcel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// How many the parcel had, what was sent again meanwhile included.
    pub quantity: i64,
    /// How many are claimed and not decided on.
    pub claimed: i64,
    /// For how many somebody has got something.
    pub honoured: i64,
}

impl Counts {
    pub(super) const fn taken(self) -> i64 {
        self.claimed + self.honoured
    }

    pub(super) const fn free(self) -> i64 {
        self.quantity - self.taken()
    }
}

/// The parcels of an order, and what is claimed of each.
#[derive(Debug, Clone)]
pub struct Parcels {
    pub(super) all: Vec<(Shipment, BTreeMap<i32, Counts>)>,
}

impl Parcels {
    /// The same of one parcel alone; none where the order has no such one.
    #[must_use]
    pub fn only(mut self, shipment: ShipmentId) -> Option<Self> {
        self.all.retain(|(one, _)| one.id == shipment);
        (!self.all.is_empty()).then_some(self)
    }

    /// Whether none of them counts any more, and nothing was claimed of any: it was taken back that they had left.
    #[must_use]
    pub fn are_gone(&self) -> bool {
        let mut counts = self.all.iter().flat_map(|(_, counts)| counts.values());
        self.standing().next().is_none() && counts.all(|counts| counts.taken() == 0)
    }

    fn standing(&self) -> impl Iterator<Item = &(Shipment, BTreeMap<i32, Counts>)> {
        self.all.iter().filter(|(one, _)| one.corrected_at.is_none())
    }

    /// How many pieces of a line are in them.
    #[must_use]
    pub fn had(&self, line_no: i32) -> i64 {
        let lines = self.standing().flat_map(|(one, _)| &one.lines);
        lines.filter(|line| line.line_no == line_no).map(|line| line.quantity).sum()
    }

    /// How many pieces of a line in them can be claimed.
    #[must_use]
    pub fn free(&self, line_no: i32) -> i64 {
        self.standing().filter_map(|(_, counts)| counts.get(&line_no)).map(|counts| counts.free()).sum()
    }

    /// How many pieces of a line were claimed of them before, those sent again included.
    #[must_use]
    pub fn taken(&self, line_no: i32) -> i64 {
        self.all.iter().filter_map(|(_, counts)| counts.get(&line_no)).map(|counts| counts.taken()).sum()
    }

    /// In which of them the pieces lie that are claimed: in one, where one has them all. What is lost is rather in a parcel that is, or has
    /// not arrived; anything else rather in one that has. Those that left in no parcel that is known are left out.
    #[must_use]
    pub fn place(&self, wanted: &BTreeMap<i32, i64>, lost: bool) -> Vec<ClaimedPieces> {
        let mut order: Vec<_> = self.standing().collect();
        order.reverse();
        order.sort_by_key(|(one, _)| match (one.tracking, one.state) {
            (Tracking::Lost, _) => (!lost, false),
            (_, ShipmentState::Delivered) => (lost, true),
            _ => (!lost, true),
        });
        let free = |counts: &BTreeMap<i32, Counts>, line_no: &i32| counts.get(line_no).map_or(0, |one| one.free());
        let has_all = |(_, counts): &&&(Shipment, BTreeMap<i32, Counts>)| {
            wanted.iter().all(|(line_no, quantity)| free(counts, line_no) >= *quantity)
        };
        if let Some(one) = order.iter().find(has_all).copied() {
            order = vec![one];
        }
        let (mut left, mut placed) = (wanted.clone(), Vec::new());
        for (one, counts) in order {
            for (line_no, left) in &mut left {
                let quantity = free(counts, line_no).min(*left);
                if quantity > 0 {
                    *left -= quantity;
                    placed.push(ClaimedPieces { shipment: one.id, line_no: *line_no, quantity });
                }
            }
        }
        placed
    }
}

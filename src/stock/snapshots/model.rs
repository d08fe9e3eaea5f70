//! What a snapshot means for a level. Pure.

use crate::{
    kernel::Instant,
    stock::{Level, MovementKind},
};

crate::words! {
    /// What the quantities of a snapshot are.
    pub enum Basis {
        /// What lies there.
        Physical = "physical",
        /// What can be sold: what lies there without what is set aside for the orders that the sender knows.
        Available = "available",
    }
}

crate::words! {
    /// What became of a row.
    pub enum Outcome {
        /// The level was another, and is now what the snapshot says.
        Changed = "changed",
        /// The level was so already.
        Unchanged = "unchanged",
        /// Not taken: a snapshot as of that instant or a later one was taken before.
        Superseded = "superseded",
        /// Not taken: the shelf was counted after the instant of the snapshot.
        CountedSince = "counted_since",
        /// Not taken: more has left since than the snapshot says there was.
        Negative = "negative",
        /// Not taken: there is no such SKU.
        SkuUnknown = "sku_unknown",
    }
}

/// A movement of a level, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Happened {
    pub kind: MovementKind,
    pub on_hand: i64,
    pub allocated: i64,
    pub occurred_at: Instant,
    /// Whether the sender knew of it by the log; nothing where it is no order's or the log does not tell.
    pub known: Option<bool>,
}

/// What has come to a level since a snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Since {
    /// Goods that came, or (negative) left.
    pub on_hand: i64,
    /// What orders have set aside, or (negative) given back or taken with them.
    pub allocated: i64,
    /// Whether the shelf was counted.
    pub counted: bool,
}

/// Adds up what a sender could not know. Of orders the log tells, of everything else the time. What snapshots and repairs have
/// booked never happened to goods.
pub(super) fn since(as_of: Instant, happened: &[Happened]) -> Since {
    let mut since = Since::default();
    for one in happened {
        let later = one.occurred_at > as_of;
        since.counted |= later && one.kind == MovementKind::Count;
        let counts = match one.kind {
            MovementKind::Snapshot | MovementKind::Repair | MovementKind::Count => false,
            MovementKind::Allocation | MovementKind::Deallocation => one.known.map_or(later, |known| !known),
            _ => later,
        };
        if counts {
            since.on_hand += one.on_hand;
            // What a shipment takes from what is set aside was no part of what could be sold, before or after.
            since.allocated += if one.kind == MovementKind::Shipment { one.on_hand } else { one.allocated };
        }
    }
    since
}

/// What ought to lie there, by a snapshot.
pub(super) const fn target(basis: Basis, quantity: i64, since: Since, level: &Level) -> i64 {
    match basis {
        Basis::Physical => quantity + since.on_hand,
        Basis::Available => quantity + since.on_hand - since.allocated + level.allocated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Id;

    const NOON: i64 = 1_800_000_000_000_000;

    fn at(minutes: i64) -> Instant {
        Instant::from_micros(NOON).plus_seconds(60 * minutes)
    }

    fn moved(kind: MovementKind, (on_hand, allocated): (i64, i64), minutes: i64, known: Option<bool>) -> Happened {
        Happened { kind, on_hand, allocated, occurred_at: at(minutes), known }
    }

    fn level(on_hand: i64, allocated: i64) -> Level {
        let (variant, location) = (Id::new(), Id::new());
        Level {
            variant,
            location,
            on_hand,
            allocated,
            reserved: 0,
            safety: 0,
            withheld: 0,
            beyond: 0,
            version: 1,
            updated_at: at(0),
        }
    }

    #[test]
    fn of_goods_the_time_tells_and_of_orders_the_log() {
        use MovementKind as K;
        let happened = [
            moved(K::Receipt, (7, 0), -5, None),
            moved(K::Receipt, (5, 0), 5, None),
            moved(K::Allocation, (0, 2), 5, Some(true)),
            moved(K::Allocation, (0, 3), -5, Some(false)),
            moved(K::Shipment, (-2, -2), 6, None),
            moved(K::Snapshot, (40, 0), 7, None),
            moved(K::Repair, (40, 9), 7, None),
        ];
        let since = since(at(0), &happened);
        assert_eq!(since, Since { on_hand: 3, allocated: 1, counted: false });
        assert_eq!(target(Basis::Physical, 10, since, &level(0, 3)), 13);
        // Ten could be sold without the order that was not known: three fewer, five more came.
        assert_eq!(target(Basis::Available, 10, since, &level(0, 3)) - 3, 12);
    }

    #[test]
    fn a_count_after_it_is_newer() {
        assert!(since(at(0), &[moved(MovementKind::Count, (1, 0), 1, None)]).counted);
        assert!(!since(at(0), &[moved(MovementKind::Count, (1, 0), 0, None)]).counted);
    }
}

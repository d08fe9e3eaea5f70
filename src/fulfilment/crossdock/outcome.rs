//! What crossing a dock comes to: how much, how fast, and what it saves. Pure.

use serde::Serialize;

use super::model::Way;
use crate::kernel::{Instant, ids::LocationId};

/// How often goods are touched that are stored: taken off the lorry, put away, picked, loaded.
pub(super) const STORED: i64 = 4;

impl Way {
    /// How often goods are touched that cross the dock this way: taken off the lorry, sorted unless they pass unopened, loaded.
    #[must_use]
    pub const fn touches(self, unopened: bool) -> i64 {
        match (self, unopened) {
            (Self::Direct, _) | (_, true) => 2,
            _ => 3,
        }
    }
}

/// Goods that have crossed a dock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crossed {
    pub way: Way,
    pub unopened: bool,
    pub quantity: i64,
    pub received_at: Instant,
    pub ended_at: Instant,
}

/// What a dock has done in a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DockReport {
    /// The location.
    pub location_id: LocationId,
    /// From this instant on.
    pub from: Instant,
    /// Up to this one.
    pub until: Instant,
    /// How many pieces of inbound shipments came.
    pub received: i64,
    /// How many pieces crossed the dock and were packed.
    pub crossed: i64,
    /// How many of those passed in unopened handling units.
    pub direct: i64,
    /// How many were received and sorted, as planned.
    pub indirect: i64,
    /// How many were found at the dock.
    pub opportunistic: i64,
    /// How many in a thousand of the received pieces crossed the dock.
    pub crossed_per_mille: i64,
    /// How many seconds a piece stood at the dock on average.
    pub dwell_seconds: i64,
    /// How many seconds the slowest one stood there.
    pub longest_dwell_seconds: i64,
    /// How many times fewer pieces were touched than if they had been stored.
    pub touches_saved: i64,
}

/// Sums up what has crossed.
pub(super) fn report(
    location_id: LocationId,
    (from, until): (Instant, Instant),
    received: i64,
    all: &[Crossed],
) -> DockReport {
    let of = |way| all.iter().filter(|one| one.way == way).map(|one| one.quantity).sum::<i64>();
    let crossed: i64 = all.iter().map(|one| one.quantity).sum();
    let dwell = |one: &Crossed| one.ended_at.seconds_since(one.received_at).max(0);
    let stood: i64 = all.iter().map(|one| dwell(one).saturating_mul(one.quantity)).fold(0, i64::saturating_add);
    DockReport {
        location_id,
        from,
        until,
        received,
        crossed,
        direct: of(Way::Direct),
        indirect: of(Way::Indirect),
        opportunistic: of(Way::Opportunistic),
        crossed_per_mille: if received > 0 { (crossed * 1000 / received).min(1000) } else { 0 },
        dwell_seconds: if crossed > 0 { stood / crossed } else { 0 },
        longest_dwell_seconds: all.iter().map(dwell).max().unwrap_or_default(),
        touches_saved: all.iter().map(|one| (STORED - one.way.touches(one.unopened)) * one.quantity).sum(),
    }
}

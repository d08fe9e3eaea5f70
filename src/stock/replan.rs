//! Planning anew what belongs to an order already and has not been taken from the shelf.

use std::collections::BTreeMap;

use super::{
    available::Available,
    book::Entry,
    model::{LevelKey, MovementKind, Need, Selling, Share},
    plan::{NoPlan, Plan, Planned},
    service::look,
    sourcing::{Sources, planned},
    trace::Sourcing,
};
use crate::{
    db::Tx,
    error::Result,
    kernel::{Instant, ids::LocationId},
};

/// What a location is to give now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The location, and which pieces.
    pub share: Share,
    /// Whether it must have them available.
    pub guarded: bool,
    /// Until when they have to keep by the rule that has placed them.
    pub keeps_until: Option<Instant>,
}

impl From<Planned> for Replaced {
    fn from(Planned { share, guarded, keeps_until }: Planned) -> Self {
        Self { share, guarded, keeps_until }
    }
}

/// Where pieces are to come from now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replanned {
    /// Which location gives what.
    pub shares: Vec<Replaced>,
    /// Why.
    pub sourcing: Vec<Sourcing>,
    /// The lines of which so many pieces are nowhere to be had.
    pub unplaced: BTreeMap<i32, i64>,
}

/// Plans pieces anew that are allocated at `from`, as a new order of them would be planned by these sources. What they have allocated
/// counts as available to them, and of what is left to other channels since, what was sold stays sold. Where not all is to be had, as much
/// as there is is placed. One statement; nothing is written.
///
/// # Errors
/// What the database says.
pub fn replan(tx: &mut Tx, now: Instant, needs: &[Need], from: LocationId, sources: Sources<'_>) -> Result<Replanned> {
    let available = look(tx, now, needs, sources)?;
    Ok(replanned(needs, from, sources, available))
}

/// The same of what lies somewhere alone: nothing is placed where it would be still to come.
///
/// # Errors
/// What the database says.
pub fn replan_on_shelf(
    tx: &mut Tx,
    now: Instant,
    needs: &[Need],
    from: LocationId,
    sources: Sources<'_>,
) -> Result<Replanned> {
    let available = look(tx, now, needs, sources)?.on_the_shelf();
    let needs: Vec<Need> = needs.iter().map(|need| Need { backorder: false, ..need.clone() }).collect();
    Ok(replanned(&needs, from, sources, available))
}

fn replanned(needs: &[Need], from: LocationId, sources: Sources<'_>, mut available: Available) -> Replanned {
    let tracked = needs.iter().filter(|need| need.tracked);
    let own: Vec<(LevelKey, i64)> = tracked.map(|need| ((need.variant, from), need.quantity)).collect();
    available.give_back(&own);
    let (mut wanted, mut unplaced) = (needs.to_vec(), BTreeMap::new());
    // Each turn asks for less, until what is asked for is there.
    loop {
        let (place, left) = match planned(&wanted, sources, &available) {
            Ok(Plan { planned, sourcing, .. }) => {
                let shares = planned.into_iter().map(Replaced::from).collect();
                return Replanned { shares, sourcing, unplaced };
            }
            Err(NoPlan::Short { place, available }) => (place, available),
            Err(NoPlan::Incapable { place }) => (place, 0),
            Err(NoPlan::NoLocation) => (0, 0),
        };
        let Some(need) = wanted.get_mut(place) else { return Replanned { unplaced, ..Replanned::default() } };
        let kept = left.clamp(0, need.quantity - 1);
        *unplaced.entry(need.line_no).or_insert(0) += need.quantity - kept;
        need.quantity = kept;
        wanted.retain(|need| need.quantity > 0);
    }
}

/// What it books that pieces which were allocated at `from` are allocated elsewhere: there only if they are available, where the share
/// says so, and they keep as long as they have to.
#[must_use]
pub fn reallocations(shares: &[Replaced], from: LocationId, selling: Selling) -> Vec<Entry> {
    let tracked = shares.iter().filter(|one| one.share.tracked && one.share.location != from);
    let both = tracked.flat_map(|Replaced { share, guarded, keeps_until }| {
        let (out, into) = ((share.variant, from), (share.variant, share.location));
        let taken = Entry::promise(into, MovementKind::Allocation, share.quantity);
        let taken =
            if *guarded { taken.if_available(share.quantity).sold(selling.keeping(*keeps_until)) } else { taken };
        [Entry::promise(out, MovementKind::Deallocation, -share.quantity), taken]
    });
    both.collect()
}

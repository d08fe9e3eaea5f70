//! Planning anew what belongs to an order already and has not been taken from the shelf.

use std::collections::BTreeMap;

use super::{
    book::Entry,
    model::{MovementKind, Need, Share},
    plan::{NoPlan, Plan},
    service::look,
    sourcing::{Sources, planned},
    trace::Sourcing,
};
use crate::{db::Tx, error::Result, kernel::ids::LocationId};

/// Where pieces are to come from now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replanned {
    /// Which location gives what, and whether it must have that available.
    pub shares: Vec<(Share, bool)>,
    /// Why.
    pub sourcing: Vec<Sourcing>,
    /// The lines of which so many pieces are nowhere to be had.
    pub unplaced: BTreeMap<i32, i64>,
}

/// Plans pieces anew that are allocated at `from`, as a new order of them would be planned by these sources. What they have allocated counts as available to them. Where not all is to be had, as much as there is is placed. One
/// statement; nothing is written.
///
/// # Errors
/// What the database says.
pub fn replan(tx: &mut Tx, needs: &[Need], from: LocationId, sources: Sources<'_>) -> Result<Replanned> {
    let mut available = look(tx, needs)?;
    for need in needs.iter().filter(|need| need.tracked) {
        *available.entry((need.variant, from)).or_insert(0) += need.quantity;
    }
    let (mut wanted, mut unplaced) = (needs.to_vec(), BTreeMap::new());
    // Each turn asks for less, until what is asked for is there.
    loop {
        let (place, left) = match planned(&wanted, sources, &available) {
            Ok(Plan { planned, sourcing }) => {
                let shares = planned.into_iter().map(|planned| (planned.share, planned.guarded)).collect();
                return Ok(Replanned { shares, sourcing, unplaced });
            }
            Err(NoPlan::Short { place, available }) => (place, available),
            Err(NoPlan::NoLocation) => (0, 0),
        };
        let Some(need) = wanted.get_mut(place) else { return Ok(Replanned { unplaced, ..Replanned::default() }) };
        let kept = left.clamp(0, need.quantity - 1);
        *unplaced.entry(need.line_no).or_insert(0) += need.quantity - kept;
        need.quantity = kept;
        wanted.retain(|need| need.quantity > 0);
    }
}

/// What it books that pieces which were allocated at `from` are allocated elsewhere: there only if they are available, where the share
/// says so.
#[must_use]
pub fn reallocations(shares: &[(Share, bool)], from: LocationId) -> Vec<Entry> {
    let tracked = shares.iter().filter(|(share, _)| share.tracked && share.location != from);
    let both = tracked.flat_map(|(share, guarded)| {
        let (out, into) = ((share.variant, from), (share.variant, share.location));
        let taken = Entry::promise(into, MovementKind::Allocation, share.quantity);
        let taken = if *guarded { taken.if_available(share.quantity) } else { taken };
        [Entry::promise(out, MovementKind::Deallocation, -share.quantity), taken]
    });
    both.collect()
}

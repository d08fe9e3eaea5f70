//! Planning anew what belongs to an order already and has not been taken from the shelf.

use std::collections::BTreeMap;

use super::{
    book::Entry,
    model::{Available, MovementKind, Need, Selling, Share},
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

/// Plans pieces anew that are allocated at `from`, as a new order of them would be planned by these sources. What they have allocated
/// counts as available to them, and of what is left to other channels since, what was sold stays sold. Where not all is to be had, as much
/// as there is is placed. Two statements; nothing is written.
///
/// # Errors
/// What the database says.
pub fn replan(tx: &mut Tx, needs: &[Need], from: LocationId, sources: Sources<'_>) -> Result<Replanned> {
    let (available, own) = seen(tx, needs, sources)?;
    Ok(replanned(needs, from, sources, (available, &own)))
}

/// The same of what lies somewhere alone: nothing is placed where it would be still to come.
///
/// # Errors
/// What the database says.
pub fn replan_on_shelf(tx: &mut Tx, needs: &[Need], from: LocationId, sources: Sources<'_>) -> Result<Replanned> {
    let (available, own) = seen(tx, needs, sources)?;
    let (available, own) = (available.on_the_shelf(), own.on_the_shelf());
    let needs: Vec<Need> = needs.iter().map(|need| Need { backorder: false, ..need.clone() }).collect();
    Ok(replanned(&needs, from, sources, (available, &own)))
}

/// What can be sold to whom it is planned for, and what could be were nothing left to other channels.
fn seen(tx: &mut Tx, needs: &[Need], sources: Sources<'_>) -> Result<(Available, Available)> {
    let selling = sources.selling();
    let own = Selling { channel: None, ..selling };
    Ok((look(tx, needs, selling)?, look(tx, needs, own)?))
}

fn replanned(
    needs: &[Need],
    from: LocationId,
    sources: Sources<'_>,
    (mut available, own): (Available, &Available),
) -> Replanned {
    let tracked = || needs.iter().filter(|need| need.tracked);
    for need in tracked() {
        let there = own.get(&(need.variant, from)).copied().unwrap_or_default();
        available.insert((need.variant, from), there);
    }
    for need in tracked() {
        *available.entry((need.variant, from)).or_insert(0) += need.quantity;
    }
    let (mut wanted, mut unplaced) = (needs.to_vec(), BTreeMap::new());
    // Each turn asks for less, until what is asked for is there.
    loop {
        let (place, left) = match planned(&wanted, sources, &available) {
            Ok(Plan { planned, sourcing }) => {
                let shares = planned.into_iter().map(|planned| (planned.share, planned.guarded)).collect();
                return Replanned { shares, sourcing, unplaced };
            }
            Err(NoPlan::Short { place, available }) => (place, available),
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
/// says so.
#[must_use]
pub fn reallocations(shares: &[(Share, bool)], from: LocationId, selling: Selling) -> Vec<Entry> {
    let tracked = shares.iter().filter(|(share, _)| share.tracked && share.location != from);
    let both = tracked.flat_map(|(share, guarded)| {
        let (out, into) = ((share.variant, from), (share.variant, share.location));
        let taken = Entry::promise(into, MovementKind::Allocation, share.quantity);
        let taken = if *guarded { taken.if_available(share.quantity).sold(selling) } else { taken };
        [Entry::promise(out, MovementKind::Deallocation, -share.quantity), taken]
    });
    both.collect()
}

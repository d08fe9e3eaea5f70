//! Which location gives what: pure. Whole quantities or nothing, from one location when possible.

use std::collections::HashMap;

use super::model::{Available, Locations, Need, Share};
use crate::kernel::ids::{LocationId, VariantId};

/// A share and whether its level must have it available.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    pub share: Share,
    pub guarded: bool,
}

/// Why there is no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlan {
    /// The need at this place can not be met whole; so many are left for it.
    Short { place: usize, available: i64 },
    /// No location is active.
    NoLocation,
}

/// Places needs on locations.
///
/// All lines go to the first location, in the order of `locations`, that has everything; failing that to the one that
/// has everything that can not be backordered (and most of the rest); failing that each line goes where it is whole,
/// and only a line that is whole nowhere is divided. What is not tracked goes along with the rest.
pub(super) fn plan(needs: &[Need], locations: &Locations, available: &Available) -> Result<Vec<Planned>, NoPlan> {
    let active: Vec<LocationId> = locations.active().map(|location| location.id).collect();
    if needs.is_empty() {
        return Ok(Vec::new());
    }
    let Some(first) = active.first().copied() else { return Err(NoPlan::NoLocation) };
    let has = |variant: VariantId, location: LocationId| available.get(&(variant, location)).copied().unwrap_or(0);
    let strict = sums(needs.iter().filter(|need| need.tracked && !need.backorder));
    let all = sums(needs.iter().filter(|need| need.tracked));
    let meets = |wanted: &HashMap<VariantId, i64>, location: LocationId| {
        wanted.iter().all(|(variant, quantity)| *quantity <= has(*variant, location))
    };
    let served = |location: &LocationId| all.iter().filter(|(variant, sum)| **sum <= has(**variant, *location)).count();
    let whole = active.iter().copied().find(|location| meets(&all, *location));
    // `max_by_key` gives the last of equals, so the order is turned to prefer the first.
    let willing = || active.iter().rev().copied().filter(|location| meets(&strict, *location)).max_by_key(served);
    if let Some(location) = whole.or_else(willing) {
        return Ok(needs.iter().map(|need| planned(need, location, need.quantity)).collect());
    }
    split(needs, &active, first, available.clone())
}

fn planned(need: &Need, location: LocationId, quantity: i64) -> Planned {
    let Need { line_no, variant, tracked, backorder, .. } = *need;
    Planned { share: Share { line_no, variant, location, quantity, tracked }, guarded: tracked && !backorder }
}

fn sums<'a>(needs: impl Iterator<Item = &'a Need>) -> HashMap<VariantId, i64> {
    let mut sums = HashMap::new();
    for need in needs {
        *sums.entry(need.variant).or_insert(0) += need.quantity;
    }
    sums
}

/// Places needs that no one location can meet. What can not be backordered chooses first.
fn split(
    needs: &[Need],
    active: &[LocationId],
    first: LocationId,
    mut left: Available,
) -> Result<Vec<Planned>, NoPlan> {
    let mut shares: Vec<Vec<Planned>> = vec![Vec::new(); needs.len()];
    let mut used: Vec<LocationId> = Vec::new();
    let strict_first = [(true, false), (true, true), (false, false), (false, true)];
    for (tracked, backorder) in strict_first {
        let turn = needs.iter().zip(&mut shares).enumerate();
        for (place, (need, given)) in
            turn.filter(|(_, (need, _))| need.tracked == tracked && need.backorder == backorder)
        {
            // Fewer parcels: a location that already gives something is asked before the others.
            let fresh = active.iter().copied().filter(|location| !used.contains(location));
            let order: Vec<LocationId> = used.iter().copied().chain(fresh).collect();
            let parts = match tracked {
                true => divide(need, &order, &mut left).map_err(|available| NoPlan::Short { place, available })?,
                false => vec![(used.first().copied().unwrap_or(first), need.quantity)],
            };
            for (location, quantity) in parts {
                if tracked && !used.contains(&location) {
                    used.push(location);
                }
                given.push(planned(need, location, quantity));
            }
        }
    }
    Ok(shares.into_iter().flatten().collect())
}

/// The parts of one tracked need; how many there are where they do not suffice.
fn divide(need: &Need, order: &[LocationId], left: &mut Available) -> Result<Vec<(LocationId, i64)>, i64> {
    let has = |left: &Available, location: LocationId| left.get(&(need.variant, location)).copied().unwrap_or(0);
    let mut parts: Vec<(LocationId, i64)> = Vec::new();
    let whole = order.iter().copied().find(|location| has(left, *location) >= need.quantity);
    let fullest = || order.iter().rev().copied().max_by_key(|location| has(left, *location));
    let one = if need.backorder { whole.or_else(fullest) } else { whole };
    match one {
        Some(location) => parts.push((location, need.quantity)),
        None => {
            let mut missing = need.quantity;
            for location in order.iter().copied() {
                let part = has(left, location).clamp(0, missing);
                if part > 0 {
                    parts.push((location, part));
                    missing -= part;
                }
            }
            if missing > 0 {
                return Err(need.quantity - missing);
            }
        }
    }
    for (location, quantity) in &parts {
        *left.entry((need.variant, *location)).or_insert(0) -= quantity;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests;

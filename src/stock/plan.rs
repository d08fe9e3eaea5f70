//! Which location gives what: pure. Whole quantities or nothing, from one location when possible.

use std::collections::HashMap;

use super::{
    available::Available,
    model::{Locations, Need, Share},
    trace::{self, LookedAt, Sourcing, Why, has},
};
use crate::kernel::{
    Instant,
    ids::{LocationId, VariantId},
};

/// A share and whether its level must have it available.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    pub share: Share,
    pub guarded: bool,
    /// Until when its pieces have to keep by the rule that has placed it.
    pub keeps_until: Option<Instant>,
}

/// Which location gives what, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub planned: Vec<Planned>,
    /// Of the lines of which there is something to tell.
    pub sourcing: Vec<Sourcing>,
    /// For how many days its goods have to keep from when they leave, by the rule that has made it.
    pub shelf_life_days: Option<i64>,
}

/// Why there is no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlan {
    /// The need at this place can not be met whole; so many are left for it.
    Short { place: usize, available: i64 },
    /// No location is active.
    NoLocation,
    /// No location that ships the order can do what the need at this place requires.
    Incapable { place: usize },
}

impl NoPlan {
    /// The same where the needs were some among all: `places` says where each of them stands.
    pub(super) fn among(self, places: &[usize]) -> Self {
        let of_all = |place: usize| places.get(place).copied().unwrap_or(place);
        match self {
            Self::Short { place, available } => Self::Short { place: of_all(place), available },
            Self::Incapable { place } => Self::Incapable { place: of_all(place) },
            Self::NoLocation => Self::NoLocation,
        }
    }
}

/// Places needs on locations.
///
/// All lines go to the first location, in the order of `locations`, that has everything; failing that to the one that
/// has everything that can not be backordered (and most of the rest); failing that each line goes where it is whole,
/// and only a line that is whole nowhere is divided. What is not tracked goes along with the rest.
pub(super) fn plan(needs: &[Need], locations: &Locations, available: &Available) -> Result<Plan, NoPlan> {
    let active: Vec<LocationId> = locations.active().map(|location| location.id).collect();
    among(needs, &active, available)
}

/// The same among these locations, in this order.
pub(super) fn among(needs: &[Need], active: &[LocationId], available: &Available) -> Result<Plan, NoPlan> {
    if needs.is_empty() {
        return Ok(Plan::default());
    }
    let Some(first) = active.first().copied() else { return Err(NoPlan::NoLocation) };
    if let Some(place) = available.incapable(needs, active) {
        return Err(NoPlan::Incapable { place });
    }
    let strict = sums(needs.iter().filter(|need| need.tracked && !need.backorder));
    let all = sums(needs.iter().filter(|need| need.tracked));
    let meets = |wanted: &HashMap<VariantId, i64>, location: LocationId| {
        wanted.iter().all(|(variant, quantity)| *quantity <= has(available, *variant, location))
    };
    let served = |location: &LocationId| {
        all.iter().filter(|(variant, sum)| **sum <= has(available, **variant, *location)).count()
    };
    let at_one = |location: LocationId, sourcing: Vec<Sourcing>| {
        let planned = needs.iter().map(|need| planned(need, location, need.quantity)).collect();
        Ok(Plan { planned, sourcing, shelf_life_days: None })
    };
    let able = |location: LocationId| needs.iter().all(|need| available.gives(need.variant, location));
    if let Some(location) = active.iter().copied().find(|location| meets(&all, *location) && able(*location)) {
        return at_one(location, trace::of_whole(needs, active, location, available));
    }
    // `max_by_key` gives the last of equals, so the order is turned to prefer the first.
    let willing = |location: &LocationId| meets(&strict, *location) && able(*location);
    let willing = active.iter().rev().copied().filter(willing).max_by_key(served);
    if let Some(location) = willing {
        let serves = |location: LocationId| (meets(&strict, location) && able(location)).then(|| served(&location));
        return at_one(location, trace::of_willing(needs, active, location, available, serves));
    }
    split(needs, active, first, available.clone())
}

fn planned(need: &Need, location: LocationId, quantity: i64) -> Planned {
    let Need { line_no, delivery, variant, tracked, backorder, .. } = *need;
    let share = Share { line_no, delivery, variant, location, quantity, tracked };
    Planned { share, guarded: tracked && !backorder, keeps_until: None }
}

fn sums<'a>(needs: impl Iterator<Item = &'a Need>) -> HashMap<VariantId, i64> {
    let mut sums = HashMap::new();
    for need in needs {
        *sums.entry(need.variant).or_insert(0) += need.quantity;
    }
    sums
}

/// Places needs that no one location can meet. What can not be backordered chooses first.
fn split(needs: &[Need], active: &[LocationId], first: LocationId, mut left: Available) -> Result<Plan, NoPlan> {
    let mut sourcing: Vec<Sourcing> = Vec::new();
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
            let able = |location: &LocationId| left.gives(need.variant, *location);
            let order: Vec<LocationId> = used.iter().copied().chain(fresh).filter(able).collect();
            let parts = match tracked {
                true => {
                    let looked_at = divide(need, &order, &mut left);
                    let looked_at = looked_at.map_err(|available| NoPlan::Short { place, available })?;
                    let given = looked_at.iter().filter(|one| one.given > 0);
                    let given = given.map(|one| (one.location_id, one.given)).collect();
                    sourcing.push(trace::of_line(need.line_no, needs.len(), looked_at));
                    given
                }
                false => vec![(order.first().copied().unwrap_or(first), need.quantity)],
            };
            for (location, quantity) in parts {
                if tracked && !used.contains(&location) {
                    used.push(location);
                }
                given.push(planned(need, location, quantity));
            }
        }
    }
    sourcing.sort_by_key(|one| one.line_no);
    Ok(Plan { planned: shares.into_iter().flatten().collect(), sourcing, shelf_life_days: None })
}

/// What each location that was looked at gives to one tracked need; how many there are where they do not suffice.
fn divide(need: &Need, order: &[LocationId], left: &mut Available) -> Result<Vec<LookedAt>, i64> {
    let has = |location: LocationId| has(left, need.variant, location);
    let place = order.iter().position(|location| has(*location) >= need.quantity);
    let passed_over = |location: &LocationId| LookedAt::new(*location, has(*location), 0, Why::LacksLine);
    let fullest = || order.iter().rev().copied().max_by_key(|location| has(*location));
    let mut looked_at: Vec<LookedAt> =
        order.iter().take(place.map_or(order.len(), |place| place + 1)).map(passed_over).collect();
    let mut missing = need.quantity;
    let chosen = if place.is_none() && need.backorder { fullest() } else { None };
    for one in &mut looked_at {
        (one.given, one.why) = match one.available.clamp(0, missing) {
            _ if chosen == Some(one.location_id) => (missing, Why::Backordered),
            _ if chosen.is_some() => continue,
            _ if place.is_some() && one.available < need.quantity => continue,
            all if place.is_some() => (all, Why::WholeLine),
            part if part > 0 => (part, Why::Part),
            _ => continue,
        };
        missing -= one.given;
    }
    if missing > 0 {
        return Err(need.quantity - missing);
    }
    for one in &looked_at {
        *left.entry((need.variant, one.location_id)).or_insert(0) -= one.given;
    }
    Ok(looked_at)
}

#[cfg(test)]
mod tests;

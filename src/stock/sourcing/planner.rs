//! Which location gives what, by a sourcing profile: pure. The strategies are tried in their order, then the fallback.

use std::collections::{BTreeMap, HashMap};

use super::{
    super::{
        available::Available,
        model::{Location, Locations, Need, Share},
        plan::{self, NoPlan, Plan, Planned},
        trace::{LookedAt, Points, Sourcing, Why, has, of_line},
    },
    candidates::{Candidate, SCALE, Scaled, candidates, serves},
    document::{FallbackKind, ProfileDocument, Strategy},
    model::{Facts, ProfileRef},
    search::{Demand, Offer, Puzzle, Solution},
};
use crate::kernel::{
    Instant,
    ids::{LocationId, VariantId},
};

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// What its lines need.
    pub needs: &'a [Need],
    /// What is known of it.
    pub facts: &'a Facts,
    /// Locations that are not to ship it.
    pub except: &'a [LocationId],
}

/// Places an order by a profile.
pub(in crate::stock) fn plan_by(
    (code, version): (&str, i64),
    document: &ProfileDocument,
    order: Order<'_>,
    locations: &Locations,
    available: &Available,
) -> Result<Plan, NoPlan> {
    let named = |strategy: Option<&Strategy>, fallback| ProfileRef {
        code: code.to_owned(),
        version,
        strategy: strategy.map(|one| one.name.to_string()),
        fallback,
        shelf_life_days: strategy.and_then(|one| one.filters.shelf_life_days),
    };
    if order.needs.is_empty() {
        return Ok(Plan::default());
    }
    let mut tried = false;
    for strategy in document.strategies.iter().filter(|one| one.when.hold(order.facts)) {
        tried = true;
        if let Some(mut plan) = by_strategy((document, strategy), order, locations, available) {
            tell(&mut plan.sourcing, &named(Some(strategy), None));
            return Ok(plan);
        }
    }
    let open = open(order, locations);
    if !tried {
        let mut plan = plan::among(order.needs, &open, available)?;
        tell_all(&mut plan, order.needs, &named(None, None), available);
        return Ok(plan);
    }
    let mut plan = fall_back(document, order, (locations, &open), available)?;
    tell_all(&mut plan, order.needs, &named(None, Some(document.fallback.then)), available);
    Ok(plan)
}

/// Until when goods have to keep that a location ships, by a rule that asks for so many days: from the end of the day on which it ships.
fn keeps_until(days: i64, facts: &Facts, location: &Location) -> Instant {
    location.due_at(facts.at).plus_seconds(86_400 * days)
}

/// What is available that keeps for so many days when it is shipped.
pub(super) fn lasting(days: i64, facts: &Facts, locations: &Locations, available: &Available) -> Available {
    available.lasting(|id| locations.get(id).ok().map(|location| keeps_until(days, facts, location)))
}

/// The active locations that ship such orders, in the order in which they are asked.
pub(in crate::stock) fn open(order: Order<'_>, locations: &Locations) -> Vec<LocationId> {
    let ships = locations.active().filter(|location| serves(location, order.facts));
    ships.map(|location| location.id).filter(|id| !order.except.contains(id)).collect()
}

fn tell(sourcing: &mut [Sourcing], profile: &ProfileRef) {
    for one in sourcing {
        one.profile = Some(profile.clone());
    }
}

/// Notes the profile with every tracked line: of those of which the usual plan has nothing else to tell too.
fn tell_all(plan: &mut Plan, needs: &[Need], profile: &ProfileRef, available: &Available) {
    let told: Vec<i32> = plan.sourcing.iter().map(|one| one.line_no).collect();
    for need in needs.iter().filter(|need| need.tracked && !told.contains(&need.line_no)) {
        let given = plan.planned.iter().filter(|planned| planned.share.line_no == need.line_no);
        let looked_at = given.map(|Planned { share, .. }| {
            LookedAt::new(share.location, has(available, need.variant, share.location), share.quantity, Why::WholeOrder)
        });
        plan.sourcing.push(of_line(need.line_no, needs.len(), looked_at.collect()));
    }
    plan.sourcing.sort_by_key(|one| one.line_no);
    tell(&mut plan.sourcing, profile);
}

/// What is done where no strategy has found a plan.
fn fall_back(
    document: &ProfileDocument,
    order: Order<'_>,
    (locations, open): (&Locations, &[LocationId]),
    available: &Available,
) -> Result<Plan, NoPlan> {
    let location = document.fallback.location.as_deref().and_then(|code| locations.by_ref(code));
    let location = location
        .filter(|location| location.active && !order.except.contains(&location.id) && serves(location, order.facts));
    match (document.fallback.then, location) {
        (FallbackKind::Refuse, _) => Err(short(order.needs, open, available)),
        (FallbackKind::DropShip, Some(supplier)) => elsewhere(order, open, (supplier.id, Why::DropShipped), available),
        (FallbackKind::Hold, Some(place)) => elsewhere(order, open, (place.id, Why::Held), available),
        (FallbackKind::Backorder, Some(place)) => elsewhere(order, open, (place.id, Why::Waits), available),
        _ => plan::among(order.needs, open, available),
    }
}

/// Which line an order is refused for: the first of which there is not enough anywhere, else the first there is, of which the rules
/// allow nothing.
fn short(needs: &[Need], open: &[LocationId], available: &Available) -> NoPlan {
    let total = |variant: VariantId| open.iter().map(|id| has(available, variant, *id).max(0)).sum::<i64>();
    let tracked = needs.iter().enumerate().filter(|(_, need)| need.tracked);
    let counted = tracked.map(|(place, need)| (place, need, total(need.variant)));
    let counted: Vec<_> = counted.collect();
    let lacking = counted.iter().find(|(_, need, total)| *total < need.quantity);
    if let Some(place) = available.incapable(needs, open) {
        return NoPlan::Incapable { place };
    }
    match (lacking, counted.first()) {
        _ if open.is_empty() => NoPlan::NoLocation,
        (Some((place, _, total)), _) => NoPlan::Short { place: *place, available: *total },
        (None, Some((place, _, _))) => NoPlan::Short { place: *place, available: 0 },
        (None, None) => NoPlan::NoLocation,
    }
}

/// The usual plan, and what may be sold beyond the stock and is beyond it from one location: of a supplier who ships it, or where it
/// waits.
fn elsewhere(
    order: Order<'_>,
    open: &[LocationId],
    (place, why): (LocationId, Why),
    available: &Available,
) -> Result<Plan, NoPlan> {
    let mut left: HashMap<VariantId, i64> = HashMap::new();
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for (at, need) in order.needs.iter().enumerate() {
        let total = || open.iter().map(|id| has(available, need.variant, *id).max(0)).sum::<i64>();
        let left = left.entry(need.variant).or_insert_with(total);
        // Nothing is sold beyond the stock that may not be: of that the supplier ships what is counted there, as any location.
        // Nor does anything wait where nobody can handle it.
        let beyond = need.tracked && need.backorder && *left < need.quantity;
        if beyond && available.gives(need.variant, place) {
            there.push(need.clone());
        } else {
            *left -= if need.tracked { need.quantity } else { 0 };
            here.push((at, need.clone()));
        }
    }
    let (places, here): (Vec<usize>, Vec<Need>) = here.into_iter().unzip();
    let mut plan = match here.is_empty() {
        true => Plan::default(),
        // A refusal names the line by its place among all of them.
        false => plan::among(&here, open, available).map_err(|why| why.among(&places))?,
    };
    for need in there {
        let Need { line_no, delivery, variant, quantity, tracked, .. } = need;
        let share = Share { line_no, delivery, variant, location: place, quantity, tracked };
        plan.planned.push(Planned { share, guarded: false, keeps_until: None });
        let looked_at = vec![LookedAt::new(place, has(available, variant, place), quantity, why)];
        plan.sourcing.push(of_line(line_no, order.needs.len(), looked_at));
    }
    plan.planned.sort_by_key(|planned| planned.share.line_no);
    Ok(plan)
}

/// Lines that are decided together: of one variant, or such as stay together.
struct Bundle {
    /// Their places among the needs.
    needs: Vec<usize>,
    /// Whether they may not be taken apart.
    kept: bool,
}

/// Which lines are decided together.
fn bundles(needs: &[Need], facts: &Facts, together: Option<&str>) -> Vec<Bundle> {
    let mark = |need: &Need| {
        let text = facts.lines.get(&need.line_no)?.metadata.get(together?)?.as_str()?;
        Some(text.to_owned())
    };
    // A bundle is named by its first line; lines of one variant and lines of one mark are drawn into it.
    let mut of_variant: HashMap<VariantId, usize> = HashMap::new();
    let mut of_mark: HashMap<String, usize> = HashMap::new();
    let mut bundle: Vec<usize> = Vec::with_capacity(needs.len());
    let mut kept: BTreeMap<usize, bool> = BTreeMap::new();
    for (place, need) in needs.iter().enumerate() {
        let mark = mark(need);
        let own = *of_variant.get(&need.variant).unwrap_or(&place);
        let marked = mark.as_ref().and_then(|mark| of_mark.get(mark)).copied().unwrap_or(own);
        let (name, other) = (own.min(marked), own.max(marked));
        if name != other {
            let join = |one: &mut usize| *one = if *one == other { name } else { *one };
            bundle.iter_mut().for_each(join);
            of_variant.values_mut().for_each(join);
            of_mark.values_mut().for_each(join);
            let was = kept.remove(&other).unwrap_or_default();
            *kept.entry(name).or_default() |= was;
        }
        bundle.push(name);
        of_variant.insert(need.variant, name);
        *kept.entry(name).or_default() |= mark.is_some();
        if let Some(mark) = mark {
            of_mark.insert(mark, name);
        }
    }
    let mut bundles: BTreeMap<usize, Bundle> = BTreeMap::new();
    for (place, name) in bundle.into_iter().enumerate() {
        let kept = kept.get(&name).copied().unwrap_or_default();
        bundles.entry(name).or_insert_with(|| Bundle { needs: Vec::new(), kept }).needs.push(place);
    }
    bundles.into_values().collect()
}

/// What a location can do for lines that are decided together, and the points of it.
#[derive(Clone, Copy, Default)]
struct Rated {
    offer: Offer,
    points: Scaled,
    missing: i64,
}

/// The goods of a variant within a bundle.
struct Goods {
    variant: VariantId,
    quantity: i64,
    grams: i64,
    tracked: bool,
    /// Whether they may be still to come.
    may_wait: bool,
    /// How many there are at the candidates together.
    total: i64,
}

fn goods(
    bundle: &Bundle,
    order: Order<'_>,
    strategy: &Strategy,
    (kept, available): (&[Candidate<'_>], &Available),
) -> Vec<Goods> {
    let mut goods: Vec<Goods> = Vec::new();
    for need in bundle.needs.iter().filter_map(|place| order.needs.get(*place)) {
        if let Some(known) = goods.iter_mut().find(|one| one.variant == need.variant) {
            known.quantity += need.quantity;
            continue;
        }
        let total = kept.iter().map(|one| has(available, need.variant, one.location.id).max(0)).sum();
        goods.push(Goods {
            variant: need.variant,
            quantity: need.quantity,
            grams: order.facts.lines.get(&need.line_no).map_or(0, |line| line.grams),
            tracked: need.tracked,
            may_wait: need.backorder && strategy.limits.may_wait(),
            total,
        });
    }
    goods
}

/// What a candidate can do for goods.
fn rate(goods: &[Goods], kept: bool, strategy: &Strategy, candidate: &Candidate<'_>, available: &Available) -> Rated {
    let mut rated = Rated::default();
    let (mut whole, mut missing) = (true, 0);
    for one in goods {
        let lies = has(available, one.variant, candidate.location.id).max(0);
        let share = if one.total > 0 { lies.saturating_mul(1_000) / one.total } else { 0 };
        let piece = candidate.piece(&strategy.weights, one.grams, share);
        rated.points = rated.points.plus(&piece, one.quantity);
        let lacks = if one.tracked { (one.quantity - lies).max(0) } else { 0 };
        whole &= (lacks == 0 || one.may_wait) && available.gives(one.variant, candidate.location.id);
        missing += lacks;
        rated.offer.has = lies;
        rated.offer.each = piece.total();
    }
    let divided = !kept && strategy.limits.divide_lines && matches!(goods, [one] if one.tracked && !one.may_wait);
    rated.missing = missing;
    rated.points.backorder = i128::from(strategy.weights.backorder) * i128::from(missing) * SCALE;
    rated.offer.whole = whole.then(|| rated.points.total());
    rated.offer.has = if divided { rated.offer.has } else { 0 };
    rated
}

/// The plan of one strategy; `None` where it finds none.
fn by_strategy(
    (document, strategy): (&ProfileDocument, &Strategy),
    order: Order<'_>,
    locations: &Locations,
    available: &Available,
) -> Option<Plan> {
    let (mut kept, mut dropped) = candidates((document, strategy), order.facts, locations, order.except);
    let days = strategy.filters.shelf_life_days;
    let (all, lasting) = (available, days.map(|days| lasting(days, order.facts, locations, available)));
    let available = lasting.as_ref().unwrap_or(all);
    if lasting.is_some() {
        let spoils = |one: &Candidate<'_>| spoils(order, strategy, one.location.id, (all, available));
        dropped.extend(kept.iter().filter(|one| spoils(one)).map(|one| (one.location, Why::ShelfLife)));
        kept.retain(|one| !spoils(one));
    }
    if kept.is_empty() {
        return None;
    }
    let bundles = bundles(order.needs, order.facts, strategy.limits.together.as_deref());
    let rated: Vec<Vec<Rated>> = bundles
        .iter()
        .map(|bundle| {
            let goods = goods(bundle, order, strategy, (&kept, available));
            kept.iter().map(|candidate| rate(&goods, bundle.kept, strategy, candidate, available)).collect()
        })
        .collect();
    // Where nobody knows how far it is, it is taken to be as far as the farthest.
    let far = kept.iter().filter_map(|one| one.metres).max().unwrap_or_default();
    let fixed: Vec<Scaled> = kept.iter().map(|one| one.fixed(&strategy.weights, far)).collect();
    let demands = bundles.iter().zip(&rated).map(|(bundle, rated)| Demand {
        quantity: bundle.needs.iter().filter_map(|place| order.needs.get(*place)).map(|need| need.quantity).sum(),
        offers: rated.iter().map(|one| one.offer).collect(),
    });
    let puzzle = Puzzle {
        fixed: fixed.iter().map(Scaled::total).collect(),
        demands: demands.collect(),
        most: strategy.limits.parcels(),
        orders: orders(&kept, &fixed),
    };
    let solution = puzzle.solve()?;
    Some(
        Told { strategy, order, kept: &kept, dropped: &dropped, fixed: &fixed, available, all }
            .plan(&bundles, &rated, &solution),
    )
}

/// Whether nothing of an order at a location keeps as long as the strategy asks for, though something lies there, and nothing of it may
/// wait for what is still to come.
fn spoils(order: Order<'_>, strategy: &Strategy, place: LocationId, (all, lasting): (&Available, &Available)) -> bool {
    let mut tracked = order.needs.iter().filter(|need| need.tracked);
    let lies = |among: &Available, need: &Need| has(among, need.variant, place) > 0;
    let any = order.needs.iter().any(|need| need.tracked && lies(all, need));
    any && !tracked.any(|need| lies(lasting, need) || (need.backorder && strategy.limits.may_wait()))
}

/// The candidates ordered by one thing alone, each.
fn orders(kept: &[Candidate<'_>], fixed: &[Scaled]) -> Vec<Vec<usize>> {
    let by = |key: &dyn Fn(usize) -> i128| {
        let mut order: Vec<usize> = (0..kept.len()).collect();
        order.sort_by_key(|place| key(*place));
        order
    };
    let of = |place: usize, part: fn(&Scaled) -> i128| fixed.get(place).map_or(0, part);
    vec![
        by(&|_| 0),
        by(&|place| of(place, |one| one.distance)),
        by(&|place| of(place, |one| one.cost)),
        by(&|place| of(place, |one| one.priority)),
        by(&|place| of(place, |one| one.date)),
        by(&|place| of(place, Scaled::total)),
    ]
}

/// What a plan and its trace are written from.
struct Told<'a> {
    strategy: &'a Strategy,
    order: Order<'a>,
    kept: &'a [Candidate<'a>],
    dropped: &'a [(&'a Location, Why)],
    fixed: &'a [Scaled],
    available: &'a Available,
    /// The same with what does not keep long enough.
    all: &'a Available,
}

/// Of orders of so many lines each location's points are told one by one, of larger ones their sum.
const TOLD_IN_FULL: usize = 50;

impl Told<'_> {
    fn plan(&self, bundles: &[Bundle], rated: &[Vec<Rated>], solution: &Solution) -> Plan {
        let needs = self.order.needs;
        let mut shares: Vec<Vec<(usize, i64)>> = vec![Vec::new(); needs.len()];
        let mut sourcing = Vec::new();
        for ((bundle, rated), given) in bundles.iter().zip(rated).zip(&solution.given) {
            for (place, parts) in divide(bundle, needs, given) {
                if let Some(need) = needs.get(place).filter(|need| need.tracked) {
                    sourcing.push(self.trace(need, rated, &parts));
                }
                if let Some(slot) = shares.get_mut(place) {
                    *slot = parts;
                }
            }
        }
        sourcing.sort_by_key(|one| one.line_no);
        let (waits, shelf_life_days) = (self.strategy.limits.may_wait(), self.strategy.filters.shelf_life_days);
        let planned = needs.iter().zip(shares).flat_map(|(need, parts)| {
            parts.into_iter().filter_map(move |(at, quantity)| {
                let place = self.kept.get(at)?.location;
                let (location, facts) = (place.id, self.order.facts);
                let keeps_until = shelf_life_days.map(|days| keeps_until(days, facts, place));
                let Need { line_no, delivery, variant, tracked, backorder, .. } = *need;
                let share = Share { line_no, delivery, variant, location, quantity, tracked };
                Some(Planned { share, guarded: tracked && !(backorder && waits), keeps_until })
            })
        });
        Plan { planned: planned.collect(), sourcing, shelf_life_days }
    }

    /// Why a line comes from where it does. Those that could have been chosen come before those that could not.
    fn trace(&self, need: &Need, rated: &[Rated], parts: &[(usize, i64)]) -> Sourcing {
        let mut looked_at: Vec<(i128, usize, LookedAt)> = Vec::with_capacity(self.kept.len());
        for (place, (candidate, rated)) in self.kept.iter().zip(rated).enumerate() {
            let given = parts.iter().find(|(at, _)| *at == place).map_or(0, |(_, quantity)| *quantity);
            let lies = has(self.available, need.variant, candidate.location.id);
            let why = match (given, rated.offer.whole) {
                (1.., Some(_)) if rated.missing > 0 && lies < need.quantity => Why::Backordered,
                (1.., _) if given < need.quantity => Why::Part,
                (1.., _) => Why::BestScore,
                (_, None) if lies >= need.quantity => Why::LacksOthers,
                (_, None) if has(self.all, need.variant, candidate.location.id) >= need.quantity => Why::ShelfLife,
                (_, None) => Why::LacksLine,
                (_, Some(_)) => Why::ScoresLess,
            };
            let fixed = self.fixed.get(place).copied().unwrap_or_default();
            let points = fixed.plus(&rated.points, 1);
            let rank = match (given, rated.offer.whole) {
                (1.., _) => i128::MIN,
                (_, Some(_)) => points.total(),
                (_, None) => i128::MAX,
            };
            let told = if self.order.needs.len() <= TOLD_IN_FULL {
                points.told()
            } else {
                Points { total: points.told().total, ..Points::default() }
            };
            let points = rated.offer.whole.is_some().then_some(told);
            looked_at.push((
                rank,
                place,
                LookedAt { points, ..LookedAt::new(candidate.location.id, lies, given, why) },
            ));
        }
        looked_at.sort_by_key(|(rank, place, _)| (*rank, *place));
        let asks = &self.strategy.filters.capabilities;
        let dropped = self.dropped.iter().map(|(place, why)| {
            let missing = if *why == Why::NotCapable { asks.missing_at(&place.site.capabilities) } else { Vec::new() };
            LookedAt { missing, ..LookedAt::new(place.id, has(self.available, need.variant, place.id), 0, *why) }
        });
        let looked_at = looked_at.into_iter().map(|(_, _, one)| one).chain(dropped).collect();
        of_line(need.line_no, self.order.needs.len(), looked_at)
    }
}

/// What each line of a bundle gets of what was given to it.
fn divide(bundle: &Bundle, needs: &[Need], given: &[(usize, i64)]) -> Vec<(usize, Vec<(usize, i64)>)> {
    let mut left: Vec<(usize, i64)> = given.to_vec();
    let mut lines = Vec::with_capacity(bundle.needs.len());
    for place in &bundle.needs {
        let mut missing = needs.get(*place).map_or(0, |need| need.quantity);
        let mut parts = Vec::new();
        for (at, has) in &mut left {
            let part = missing.min(*has);
            if part > 0 {
                *has -= part;
                missing -= part;
                parts.push((*at, part));
            }
        }
        lines.push((*place, parts));
    }
    lines
}

#[cfg(test)]
mod tests;

//! Why a line comes from where it does: the trace of a plan. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::{
    available::Available,
    model::{LevelKey, Locations, Need, Share},
    plan::{Plan, Planned},
    sourcing::ProfileRef,
};
use crate::kernel::{
    Actor,
    ids::{LocationId, VariantId},
};

crate::words! {
    /// Why a location ships pieces of a line, or does not. More words may come.
    pub enum Why {
        /// Chosen: it has all that the order asks for.
        WholeOrder = "whole_order",
        /// Chosen: it has all that can not be backordered, and of the rest as many lines as any.
        AllButBackorders = "all_but_backorders",
        /// Chosen: no location has the whole order, and this is the first asked that has the whole line.
        WholeLine = "whole_line",
        /// Chosen: no location has the whole line, and it has some of it.
        Part = "part",
        /// Chosen, though it has too little: the goods are to come.
        Backordered = "backordered",
        /// Passed over: it has less than the line asks for.
        LacksLine = "lacks_line",
        /// Passed over: it has the line, but not the rest of the order.
        LacksOthers = "lacks_others",
        /// Passed over: it could have been chosen, and more would have been backordered there.
        ServesLess = "serves_less",
        /// Passed over: it is as good, and is asked later.
        NotNeeded = "not_needed",
        /// Chosen by a sourcing profile: with it the order has the fewest points.
        BestScore = "best_score",
        /// Chosen by a profile's fallback: nobody has it, it may be sold beyond the stock, and the supplier ships it.
        DropShipped = "drop_shipped",
        /// Chosen by a profile's fallback: nobody has it, and the line waits for it there.
        Waits = "waits",
        /// Chosen by a profile's fallback: nobody has it, and it is held there until somebody releases it.
        Held = "held",
        /// Passed over: it has less than the line asks for, and would have enough for those who ask for less: pieces are kept back from the
        /// channel, or do not keep long enough.
        KeptBack = "kept_back",
        /// Passed over by a sourcing profile, or not looked at for any line: what lies there does not keep as long as the strategy asks for.
        ShelfLife = "shelf_life",
        /// Passed over by a sourcing profile: it has the line, and with it the order has more points.
        ScoresLess = "scores_less",
        /// Not looked at: it was left out by whoever asked.
        Excluded = "excluded",
        /// Not looked at: it does not serve the channel or the country.
        NotServed = "not_served",
        /// Not looked at: the strategy asks for other kinds of locations.
        WrongKind = "wrong_kind",
        /// Not looked at: the strategy names others, or leaves it out.
        NotNamed = "not_named",
        /// Not looked at: what is ordered now is not begun there today.
        PastCutOff = "past_cut_off",
        /// Not looked at: it has taken all the orders that it can take today.
        NoCapacity = "no_capacity",
        /// Not looked at: it is farther away than the strategy allows.
        TooFar = "too_far",
        /// Passed over, or not looked at by a strategy that asks for it: it can not do all that the goods require. `missing` names what.
        NotCapable = "not_capable",
        /// Passed over: a picker has not found it there for this order, and nobody has counted or brought any since.
        NotFound = "not_found",
        /// Not looked at: the profile does not say what a parcel from there costs.
        NoRate = "no_rate",
        /// Something that this version does not know: a newer one has written it.
        Other = "other",
    }
}

/// Reads a word that was kept, also one of a newer version: processes of both run at once while a new one is rolled out.
fn why_or_other<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Why, D::Error> {
    let word = String::deserialize(deserializer)?;
    Ok(word.parse().unwrap_or(Why::Other))
}

/// What was looked at for a line, and why its pieces come from where they do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Sourcing {
    /// The order's line.
    pub line_no: i32,
    /// Which of the order's deliveries its pieces are for, from 0; absent where it is the first.
    #[serde(default, skip_serializing_if = "is_first")]
    pub delivery: i32,
    /// The locations in the order in which they were looked at. Of many, those that were passed over first.
    pub looked_at: Vec<LookedAt>,
    /// The sourcing profile that placed it; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileRef>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_first(delivery: &i32) -> bool {
    *delivery == 0
}

/// What a location counts for a line, in points: the fewer the better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Points {
    /// All of them together. Of orders of more than 50 lines nothing else is told.
    pub total: i64,
    /// For the parcel.
    #[serde(skip_serializing_if = "is_zero")]
    pub parcels: i64,
    /// For the distance.
    #[serde(skip_serializing_if = "is_zero")]
    pub distance: i64,
    /// For what the parcel costs.
    #[serde(skip_serializing_if = "is_zero")]
    pub cost: i64,
    /// For the balance of the stock.
    #[serde(skip_serializing_if = "is_zero")]
    pub balance: i64,
    /// For the location's priority.
    #[serde(skip_serializing_if = "is_zero")]
    pub priority: i64,
    /// For the days until it ships.
    #[serde(skip_serializing_if = "is_zero")]
    pub date: i64,
    /// For what is still to come.
    #[serde(skip_serializing_if = "is_zero")]
    pub backorder: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(points: &i64) -> bool {
    *points == 0
}

/// A location that was looked at for a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LookedAt {
    /// Its id.
    pub location_id: LocationId,
    /// Its code.
    #[serde(default)]
    pub location: String,
    /// How many could be sold of it there when it was looked at; what lines of the same order had been given is taken off
    /// where the order is divided.
    pub available: i64,
    /// How many the line was given there; 0 where it was passed over.
    pub given: i64,
    /// How many of `given` are still to come there; left out where all of them lie there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waits: i64,
    /// Why.
    #[serde(deserialize_with = "why_or_other")]
    pub why: Why,
    /// What it counted for the whole line, where a sourcing profile counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Points>,
    /// What it can not do that is asked for, where it is not chosen for that (`not_capable`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

impl LookedAt {
    pub(super) const fn new(location_id: LocationId, available: i64, given: i64, why: Why) -> Self {
        Self {
            location_id,
            location: String::new(),
            available,
            given,
            waits: 0,
            why,
            points: None,
            missing: Vec::new(),
        }
    }
}

/// What of traces an actor may see, with the codes of the locations.
#[must_use]
pub fn shown(traces: Vec<Sourcing>, actor: &Actor, locations: &Locations) -> Vec<Sourcing> {
    let seen = |mut trace: Sourcing| {
        trace.looked_at.retain(|one| actor.sees_location(one.location_id));
        for one in &mut trace.looked_at {
            if let Ok(location) = locations.get(one.location_id) {
                one.location.clone_from(&location.code);
            }
        }
        (!trace.looked_at.is_empty()).then_some(trace)
    };
    traces.into_iter().filter_map(seen).collect()
}

/// So many locations are noted for the lines of an order together, and so many for one: an order of a thousand lines among
/// a hundred locations is not to write a book.
const MOST: usize = 2_000;
const MOST_OF_A_LINE: usize = 10;

/// A line's trace from all that was looked at for it. Where that is much, those passed over last are left out.
pub(super) fn of_line(line_no: i32, lines: usize, looked_at: Vec<LookedAt>) -> Sourcing {
    let most = (MOST / lines.max(1)).clamp(1, MOST_OF_A_LINE);
    let mut room = most.saturating_sub(looked_at.iter().filter(|one| one.given > 0).count());
    let kept = looked_at.into_iter().filter(|one| {
        let passed_over = one.given == 0;
        let keep = !passed_over || room > 0;
        room -= usize::from(passed_over && keep);
        keep
    });
    Sourcing { line_no, delivery: 0, looked_at: kept.collect(), profile: None }
}

/// Why all lines come from one location, which is the first of those asked that has everything. Nothing where it was asked
/// first of all: then there is nothing to explain.
pub(super) fn of_whole(
    needs: &[Need],
    active: &[LocationId],
    chosen: LocationId,
    available: &Available,
) -> Vec<Sourcing> {
    let place = active.iter().position(|location| *location == chosen).unwrap_or_default();
    let before = active.get(..place).unwrap_or_default();
    if before.is_empty() {
        return Vec::new();
    }
    let line = |need: &Need| {
        let passed_over = before.iter().map(|location| {
            let has = has(available, need.variant, *location);
            let why = if has < need.quantity { Why::LacksLine } else { Why::LacksOthers };
            LookedAt::new(*location, has, 0, why)
        });
        let taken = LookedAt::new(chosen, has(available, need.variant, chosen), need.quantity, Why::WholeOrder);
        of_line(need.line_no, needs.len(), passed_over.chain([taken]).collect())
    };
    needs.iter().filter(|need| need.tracked).map(line).collect()
}

/// Why all lines come from one location that has everything that can not be backordered: all locations were looked at.
/// `serves` tells how many lines' goods one has, or that it lacks some that can not be backordered.
pub(super) fn of_willing(
    needs: &[Need],
    active: &[LocationId],
    chosen: LocationId,
    available: &Available,
    serves: impl Fn(LocationId) -> Option<usize>,
) -> Vec<Sourcing> {
    let most = serves(chosen);
    let why = |need: &Need, location: LocationId, has: i64| match serves(location) {
        _ if location == chosen && has < need.quantity => Why::Backordered,
        _ if location == chosen => Why::AllButBackorders,
        None if !need.backorder && has < need.quantity => Why::LacksLine,
        None => Why::LacksOthers,
        served if served < most => Why::ServesLess,
        _ => Why::NotNeeded,
    };
    let line = |need: &Need| {
        let looked_at = active.iter().map(|location| {
            let has = has(available, need.variant, *location);
            let given = if *location == chosen { need.quantity } else { 0 };
            LookedAt::new(*location, has, given, why(need, *location, has))
        });
        of_line(need.line_no, needs.len(), looked_at.collect())
    };
    let says_something =
        |one: &Sourcing| one.looked_at.len() > 1 || one.looked_at.iter().any(|one| one.why == Why::Backordered);
    needs.iter().filter(|need| need.tracked).map(line).filter(says_something).collect()
}

/// Notes on a plan which of its pieces are still to come: those that are more than lie there where it takes them from. A supplier who
/// ships is not waited for.
pub(super) fn note_waiting(plan: &mut Plan, needs: &[Need], available: &Available) {
    let mut left: HashMap<LevelKey, i64> = HashMap::new();
    for Planned { share, .. } in plan.planned.iter().filter(|planned| planned.share.tracked) {
        let key = (share.variant, share.location);
        let left = left.entry(key).or_insert_with(|| available.there(key));
        let waits = share.quantity - share.quantity.min((*left).max(0));
        *left -= share.quantity;
        if waits > 0 {
            note_line(&mut plan.sourcing, share, (waits, needs.len()), available);
        }
    }
    plan.sourcing.sort_by_key(|one| one.line_no);
}

/// Notes where a location was passed over that would have enough, were nothing kept back from whom it is sold for.
pub(super) fn note_kept_back(plan: &mut Plan, needs: &[Need], available: &Available) {
    for one in &mut plan.sourcing {
        let Some(need) = needs.iter().find(|need| need.line_no == one.line_no) else { continue };
        let kept = |at: &LookedAt| at.available + available.kept_back((need.variant, at.location_id)) >= need.quantity;
        for at in one.looked_at.iter_mut().filter(|at| at.why == Why::LacksLine && at.available < need.quantity) {
            at.why = if kept(at) { Why::KeptBack } else { at.why };
        }
    }
}

/// Notes where a location was passed over because it can not do what the line's goods require, with what it can not.
pub(super) fn note_incapable(plan: &mut Plan, needs: &[Need], locations: &Locations) {
    if needs.iter().all(|need| need.requires.is_none()) {
        return;
    }
    for one in &mut plan.sourcing {
        let asking = needs.iter().find(|need| need.line_no == one.line_no && !need.requires.is_none());
        let Some(need) = asking else { continue };
        let passed_over = |at: &&mut LookedAt| {
            let otherwise = [Why::Excluded, Why::NotServed, Why::WrongKind, Why::NotNamed, Why::NotCapable];
            at.given == 0 && !otherwise.contains(&at.why)
        };
        for at in one.looked_at.iter_mut().filter(passed_over) {
            let missing = locations.get(at.location_id).map(|place| need.requires.missing_at(&place.site.capabilities));
            if let Some(missing) = missing.ok().filter(|missing| !missing.is_empty()) {
                (at.why, at.missing) = (Why::NotCapable, missing);
            }
        }
    }
}

/// Notes where a location was passed over because a picker has not found the line's goods there.
pub(super) fn note_missed(plan: &mut Plan, needs: &[Need], barred: &[LevelKey]) {
    for one in plan.sourcing.iter_mut().filter(|_| !barred.is_empty()) {
        let Some(need) = needs.iter().find(|need| need.line_no == one.line_no) else { continue };
        let missed = |at: &&mut LookedAt| at.given == 0 && barred.contains(&(need.variant, at.location_id));
        for at in one.looked_at.iter_mut().filter(missed) {
            at.why = if matches!(at.why, Why::Excluded | Why::NotServed) { at.why } else { Why::NotFound };
        }
    }
}

/// What one of an order's deliveries takes of one of its lines at a location: the line's number, the delivery's, and where. Another
/// delivery may take other pieces of the line there, which lie there while these are still to come.
pub type Spot = (i32, i32, LocationId);

impl Share {
    /// Of which line it is, for which delivery, and where.
    #[must_use]
    pub const fn spot(&self) -> Spot {
        (self.line_no, self.delivery, self.location)
    }
}

/// For how many days pieces have to keep from when they leave, by the strategies that have placed them: by the number of the line and
/// of the delivery. Those of which no strategy says anything are absent.
#[must_use]
pub fn shelf_lives(sourcing: &[Sourcing]) -> BTreeMap<(i32, i32), i64> {
    let days = |one: &Sourcing| Some(((one.line_no, one.delivery), one.profile.as_ref()?.shelf_life_days?));
    sourcing.iter().filter_map(days).collect()
}

/// What is held where by a profile's fallback.
#[must_use]
pub fn held_lines(sourcing: &[Sourcing]) -> BTreeSet<Spot> {
    let held = |one: &Sourcing| {
        let given = one.looked_at.iter().filter(|at| at.given > 0 && at.why == Why::Held);
        given.map(|at| (one.line_no, one.delivery, at.location_id)).collect::<Vec<_>>()
    };
    sourcing.iter().flat_map(held).collect()
}

fn note_line(sourcing: &mut Vec<Sourcing>, share: &Share, (waits, lines): (i64, usize), available: &Available) {
    let own = sourcing.iter_mut().find(|one| one.line_no == share.line_no);
    let given =
        own.and_then(|one| one.looked_at.iter_mut().find(|one| one.location_id == share.location && one.given > 0));
    match given {
        Some(one) if one.why == Why::DropShipped => {}
        Some(one) => one.waits += waits,
        // There was nothing to explain but that.
        None => {
            let lies = has(available, share.variant, share.location);
            let one = LookedAt { waits, ..LookedAt::new(share.location, lies, share.quantity, Why::WholeOrder) };
            sourcing.push(of_line(share.line_no, lines, vec![one]));
        }
    }
}

/// Which shares wait for goods that are still to come.
#[must_use]
pub fn awaited(shares: &[Share], sourcing: &[Sourcing]) -> BTreeSet<Spot> {
    let waits = |share: &&Share| {
        let of = (share.line_no, share.delivery);
        let own = sourcing.iter().filter(|one| (one.line_no, one.delivery) == of).flat_map(|one| &one.looked_at);
        let mut given = own.filter(|one| one.location_id == share.location && one.given > 0);
        // What an older version has reserved says so by its words alone.
        share.tracked && given.any(|one| one.waits > 0 || matches!(one.why, Why::Backordered | Why::Waits | Why::Held))
    };
    shares.iter().filter(waits).map(Share::spot).collect()
}

/// The levels at which shares wait for goods that are still to come, with how many pieces of each: those that lie there and are kept
/// back from whom they are sold for, or held by others, are not theirs.
#[must_use]
pub fn waits_at(shares: &[Share], sourcing: &[Sourcing]) -> Vec<(LevelKey, i64)> {
    let awaited = awaited(shares, sourcing);
    let mut sums: BTreeMap<LevelKey, i64> = BTreeMap::new();
    for share in shares.iter().filter(|share| awaited.contains(&share.spot())) {
        let of = (share.line_no, share.delivery);
        let own = sourcing.iter().filter(|one| (one.line_no, one.delivery) == of).flat_map(|one| &one.looked_at);
        let waits: i64 = own.filter(|one| one.location_id == share.location).map(|one| one.waits).sum();
        // Of what an older version has reserved nobody knows how many: all of them.
        let waits = if waits > 0 { waits.min(share.quantity) } else { share.quantity };
        *sums.entry((share.variant, share.location)).or_default() += waits;
    }
    sums.into_iter().collect()
}

/// How many can be sold at a location.
pub(super) fn has(available: &Available, variant: VariantId, location: LocationId) -> i64 {
    available.get(&(variant, location)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stock::sourcing::FallbackKind;

    fn kept(why: &str, fallback: &str) -> Sourcing {
        let location = LocationId::from_bytes([7; 16]);
        let seen = json!({"location_id": location, "available": 3, "given": 2, "why": why});
        let profile = json!({"code": "standard", "version": 1, "fallback": fallback});
        serde_json::from_value(json!({"line_no": 1, "looked_at": [seen], "profile": profile})).unwrap()
    }

    #[test]
    fn a_trace_of_a_newer_version_is_read_all_the_same() {
        let (known, newer) = (kept("kept_back", "hold"), kept("sent_by_drone", "ask_the_oracle"));
        let why = |trace: &Sourcing| trace.looked_at.first().map(|one| (one.why, one.given));
        assert_eq!((why(&known), why(&newer)), (Some((Why::KeptBack, 2)), Some((Why::Other, 2))));
        let fallback = |trace: &Sourcing| trace.profile.as_ref().map(|profile| profile.fallback);
        assert_eq!((fallback(&known), fallback(&newer)), (Some(Some(FallbackKind::Hold)), Some(None)));
        // And written again.
        let again: Sourcing = serde_json::from_value(serde_json::to_value(&newer).unwrap()).unwrap();
        assert_eq!(again, newer);
    }
}

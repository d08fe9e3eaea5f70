//! Buckets for storefronts, and what can be sold day by day. Pure.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use crate::{catalog::Component, kernel::Instant};

crate::words! {
    /// Why something is sold beyond what is there.
    pub enum BackorderKind {
        /// It was there, and comes again.
        Backorder = "backorder",
        /// It is new, and is sold before it comes.
        Preorder = "preorder",
    }
}

crate::words! {
    /// Whether something can be had.
    pub enum Bucket {
        /// It is there.
        InStock = "in_stock",
        /// It is there, and few are left.
        Low = "low",
        /// It is not there, is sold, and comes again.
        Backorder = "backorder",
        /// It is not there yet, and is sold.
        Preorder = "preorder",
        /// It can not be had.
        Out = "out",
    }
}

/// What of a variant can be had at all locations together that give it to whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shelf {
    /// What is there to sell.
    pub there: i64,
    /// What can be sold with what may be sold beyond it.
    pub sellable: i64,
    /// Why it is sold beyond what is there, where it is.
    pub kind: Option<BackorderKind>,
    /// From when it is to be had again.
    pub available_from: Option<Instant>,
}

impl Shelf {
    /// The bucket of a variant whose stock is counted, and how many there are where few are. `always` are backorders without a
    /// limit; `low` is from how many on few are left.
    #[must_use]
    pub fn bucket(&self, always: bool, low: Option<i64>) -> (Bucket, Option<i64>) {
        match low {
            Some(low) if (1..=low).contains(&self.there) => (Bucket::Low, Some(self.there)),
            _ if self.there > 0 => (Bucket::InStock, None),
            _ if self.sellable > 0 && self.kind == Some(BackorderKind::Preorder) => (Bucket::Preorder, None),
            _ if self.sellable > 0 || always => (Bucket::Backorder, None),
            _ => (Bucket::Out, None),
        }
    }
}

impl Shelf {
    /// With what can be had at another location. One that owes more than it has takes nothing from what lies elsewhere.
    #[must_use]
    pub(super) fn and(self, other: Self) -> Self {
        let earlier = self.available_from.into_iter().chain(other.available_from).min();
        Self {
            there: self.there.saturating_add(other.there.max(0)),
            sellable: self.sellable.saturating_add(other.sellable.max(0)),
            kind: self.kind.max(other.kind),
            available_from: earlier,
        }
    }
}

/// A component of a bundle, as far as it tells how many bundles can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// What of it can be had.
    pub shelf: Shelf,
    /// How many pieces of it are in one bundle.
    pub in_one: i64,
    /// Whether no more of it is sold than can be had.
    pub limited: bool,
}

impl Shelf {
    /// What of a bundle can be had whose counted components are these: as many as the scarcest suffices for. It is sold beyond what is
    /// there as far as each component that lacks is, and is to be had when the last of these is.
    #[must_use]
    pub fn of_bundle(parts: &[Part]) -> Self {
        let there = Component::suffice(parts.iter().map(|part| (part.shelf.there, part.in_one))).unwrap_or_default();
        let limited = parts.iter().filter(|part| part.limited);
        let sellable = Component::suffice(limited.map(|part| (part.shelf.sellable, part.in_one)));
        let lacking = || parts.iter().map(|part| (part.shelf, part.in_one)).filter(|(shelf, one)| shelf.there < *one);
        let preorder = lacking().any(|(shelf, _)| shelf.kind == Some(BackorderKind::Preorder));
        let kind = if preorder { Some(BackorderKind::Preorder) } else { lacking().find_map(|(shelf, _)| shelf.kind) };
        let known = lacking().all(|(shelf, _)| shelf.available_from.is_some());
        let available_from = lacking().filter_map(|(shelf, _)| shelf.available_from).max().filter(|_| known);
        Self { there, sellable: sellable.unwrap_or(there), kind, available_from }
    }
}

/// When something is to come that has no date: as long as it has none it is late from the beginning, so that it is on order and
/// promised for no day.
#[must_use]
pub fn day_or_late(expected_at: Option<Instant>, since: Instant) -> Instant {
    expected_at.unwrap_or_else(|| since.plus_seconds(-2 * 86_400))
}

/// What can be sold on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Day {
    /// The day on the location's calendar.
    #[schema(value_type = String, format = Date, example = "2026-01-02")]
    pub date: NaiveDate,
    /// Pieces that are to come on it.
    pub expected: i64,
    /// What can be promised from it on: what is there to sell and all that is to come until then.
    pub available: i64,
}

/// Day by day from `today` on. What was to come before and has not is late, and counts for nothing until it is there or has a new
/// date.
pub(super) fn over_time(available: i64, expected: &[(NaiveDate, i64)], today: NaiveDate, days: usize) -> Vec<Day> {
    let mut coming: BTreeMap<NaiveDate, i64> = BTreeMap::new();
    for (day, pieces) in expected {
        *coming.entry(*day).or_default() += pieces;
    }
    let dates = today.iter_days().take(days);
    let day = |sum: &mut i64, date: NaiveDate| {
        let expected = coming.get(&date).copied().unwrap_or_default();
        *sum += expected;
        Some(Day { date, expected, available: *sum })
    };
    dates.scan(available, day).collect()
}

/// When what is lacking has come: `lacks` pieces, of what is to come in its order (those first that come first). None where not so
/// many are to come.
#[must_use]
pub fn comes(lacks: i64, expected: impl IntoIterator<Item = (Instant, i64)>) -> Option<Instant> {
    let mut missing = lacks;
    let mut last = None;
    for (at, pieces) in expected {
        if missing <= 0 {
            break;
        }
        missing -= pieces;
        last = Some(at);
    }
    last.filter(|_| missing <= 0)
}

/// Pieces that were to come before today and have not.
pub(super) fn late(expected: &[(NaiveDate, i64)], today: NaiveDate) -> i64 {
    expected.iter().filter(|(day, _)| *day < today).map(|(_, pieces)| pieces).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, day).unwrap()
    }

    #[test]
    fn what_comes_is_there_from_its_day_on_and_what_is_late_counts_for_nothing() {
        let expected = [(day(3), 5), (day(1), 7), (day(3), 1), (day(9), 50)];
        let found: Vec<i64> = over_time(-2, &expected, day(2), 3).iter().map(|day| day.available).collect();
        assert_eq!((found, late(&expected, day(2))), (vec![-2, 4, 4], 7));
    }

    #[test]
    fn of_a_bundle_there_is_what_its_scarcest_component_suffices_for() {
        let at = |day: i64| Some(Instant::from_micros(day));
        let shelf = |there: i64, sellable: i64, kind, available_from| Shelf { there, sellable, kind, available_from };
        let part = |shelf, in_one, limited| Part { shelf, in_one, limited };
        let mugs = part(shelf(10, 10, None, None), 2, true);
        assert_eq!(Shelf::of_bundle(&[mugs, part(shelf(4, 4, None, None), 1, true)]).there, 4);
        // One that is sold without end when it is not there does not limit what can be sold, and does what is there.
        let late = part(shelf(0, 0, None, at(9)), 1, false);
        assert_eq!(Shelf::of_bundle(&[mugs, late]), shelf(0, 5, None, at(9)));
        let (back, pre) = (Some(BackorderKind::Backorder), Some(BackorderKind::Preorder));
        let soon = part(shelf(1, 7, back, at(3)), 2, true);
        assert_eq!(Shelf::of_bundle(&[mugs, soon]), shelf(0, 3, back, at(3)));
        let new = part(shelf(0, 100, pre, at(5)), 1, true);
        assert_eq!(Shelf::of_bundle(&[mugs, soon, new]), shelf(0, 3, pre, at(5)));
        let some_day = part(shelf(0, 100, pre, None), 1, true);
        assert_eq!(Shelf::of_bundle(&[soon, some_day]).available_from, None);
    }

    #[test]
    fn what_is_lacking_has_come_when_enough_has() {
        let at = |day: u32| Instant::from_micros(86_400_000_000 * i64::from(day));
        let expected = [(at(3), 2), (at(5), 4)];
        for (lacks, found) in [(1, Some(3)), (2, Some(3)), (3, Some(5)), (6, Some(5)), (7, None)] {
            assert_eq!(comes(lacks, expected), found.map(at), "{lacks}");
        }
        assert_eq!(comes(1, []), None);
    }

    #[test]
    fn buckets_tell_numbers_of_few_only() {
        let shelf =
            |there: i64, beyond: i64, kind| Shelf { there, sellable: there + beyond, kind, available_from: None };
        let (back, pre) = (Some(BackorderKind::Backorder), Some(BackorderKind::Preorder));
        assert_eq!(shelf(3, 0, None).bucket(false, Some(3)), (Bucket::Low, Some(3)));
        assert_eq!(shelf(4, 0, None).bucket(false, Some(3)), (Bucket::InStock, None));
        assert_eq!(shelf(3, 0, None).bucket(false, None), (Bucket::InStock, None));
        assert_eq!(shelf(0, 5, pre).bucket(false, Some(3)), (Bucket::Preorder, None));
        assert_eq!(shelf(-4, 5, back).bucket(false, Some(3)), (Bucket::Backorder, None));
        assert_eq!(shelf(-5, 5, back).bucket(false, Some(3)), (Bucket::Out, None));
        assert_eq!(shelf(0, 0, None).bucket(true, Some(3)), (Bucket::Backorder, None));
    }
}

//! Buckets for storefronts, and what can be sold day by day. Pure.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use crate::kernel::Instant;

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

/// What of a variant can be had at all active locations together.
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

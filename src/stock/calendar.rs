//! On which days a location works, and until when what is ordered is begun the same day: pure.

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::LocalTime,
};

crate::words! {
    /// A day of the week.
    pub enum Weekday {
        /// Monday.
        Monday = "monday",
        /// Tuesday.
        Tuesday = "tuesday",
        /// Wednesday.
        Wednesday = "wednesday",
        /// Thursday.
        Thursday = "thursday",
        /// Friday.
        Friday = "friday",
        /// Saturday.
        Saturday = "saturday",
        /// Sunday.
        Sunday = "sunday",
    }
}

impl Weekday {
    /// The day of the week of a day.
    #[must_use]
    pub fn of(day: NaiveDate) -> Self {
        match day.weekday() {
            chrono::Weekday::Mon => Self::Monday,
            chrono::Weekday::Tue => Self::Tuesday,
            chrono::Weekday::Wed => Self::Wednesday,
            chrono::Weekday::Thu => Self::Thursday,
            chrono::Weekday::Fri => Self::Friday,
            chrono::Weekday::Sat => Self::Saturday,
            chrono::Weekday::Sun => Self::Sunday,
        }
    }
}

/// A cut-off that holds on one day of the week alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DayCutOff {
    /// On which day.
    pub day: Weekday,
    /// What is ordered before this time is begun that day.
    pub cut_off: LocalTime,
}

/// On which days a location works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"working_days": ["monday", "tuesday", "wednesday", "thursday", "friday"], "holidays": ["2026-12-25"],
    "cut_offs": [{"day": "friday", "cut_off": "12:00"}]}))]
pub struct Calendar {
    /// The days of the week on which it works; Monday to Friday where none is said.
    #[serde(default = "monday_to_friday")]
    #[schema(min_items = 1, max_items = 7)]
    pub working_days: Vec<Weekday>,
    /// The days on which it does not, whatever day of the week they are.
    #[serde(default)]
    #[schema(max_items = 1_000)]
    pub holidays: Vec<NaiveDate>,
    /// The cut-offs of days that have one of their own.
    #[serde(default)]
    #[schema(max_items = 7)]
    pub cut_offs: Vec<DayCutOff>,
}

fn monday_to_friday() -> Vec<Weekday> {
    use Weekday as W;
    vec![W::Monday, W::Tuesday, W::Wednesday, W::Thursday, W::Friday]
}

impl Default for Calendar {
    fn default() -> Self {
        Self { working_days: monday_to_friday(), holidays: Vec::new(), cut_offs: Vec::new() }
    }
}

/// The most holidays of a location.
const MOST_HOLIDAYS: usize = 1_000;

impl Calendar {
    /// Checks what the schema can not say, and sorts its lists.
    ///
    /// # Errors
    /// `invalid_value` with the pointer to the item.
    pub(super) fn checked(mut self) -> Result<Self> {
        if self.working_days.is_empty() {
            return Err(Error::invalid("/calendar/working_days", "expected at least one day"));
        }
        if self.holidays.len() > MOST_HOLIDAYS {
            return Err(Error::invalid("/calendar/holidays", format!("expected at most {MOST_HOLIDAYS} days")));
        }
        let twice =
            |list: &str, place: usize| Err(Error::invalid(format!("/calendar/{list}/{place}"), "it is there twice"));
        if let Some(place) = doubled(&self.working_days) {
            return twice("working_days", place);
        }
        if let Some(place) = self.holidays.iter().position(|day| !(1970..=9999).contains(&day.year())) {
            return Err(Error::invalid(format!("/calendar/holidays/{place}"), "expected a day such as 2026-12-25"));
        }
        if let Some(place) = doubled(&self.holidays) {
            return twice("holidays", place);
        }
        let days: Vec<Weekday> = self.cut_offs.iter().map(|one| one.day).collect();
        if let Some(place) = doubled(&days) {
            return twice("cut_offs", place);
        }
        if let Some(place) = days.iter().position(|day| !self.working_days.contains(day)) {
            return Err(Error::invalid(format!("/calendar/cut_offs/{place}/day"), "expected a working day"));
        }
        self.working_days.sort_unstable();
        self.holidays.sort_unstable();
        self.cut_offs.sort_unstable_by_key(|one| one.day);
        Ok(self)
    }

    /// Whether it works on a day.
    #[must_use]
    pub fn works_on(&self, day: NaiveDate) -> bool {
        // A calendar without working days can not be made; one that was kept so is not to end in a circle.
        let of_the_week = self.working_days.is_empty() || self.working_days.contains(&Weekday::of(day));
        of_the_week && self.holidays.binary_search(&day).is_err()
    }

    /// The first working day after a day; the last day there is has none.
    #[must_use]
    pub fn next_working_day(&self, mut day: NaiveDate) -> NaiveDate {
        loop {
            let next = following(day);
            if next == day || self.works_on(next) {
                return next;
            }
            day = next;
        }
    }

    /// The cut-off of a day: its own, else the usual one.
    #[must_use]
    pub fn cut_off_on(&self, day: NaiveDate, usual: LocalTime) -> LocalTime {
        let weekday = Weekday::of(day);
        self.cut_offs.iter().find(|one| one.day == weekday).map_or(usual, |one| one.cut_off)
    }
}

/// The day after; the last day there is has none.
pub(super) fn following(day: NaiveDate) -> NaiveDate {
    day.succ_opt().unwrap_or(day)
}

/// The place of the first item that was there before.
pub(super) fn doubled<T: Ord>(items: &[T]) -> Option<usize> {
    let mut seen = std::collections::BTreeSet::new();
    items.iter().position(|item| !seen.insert(item))
}

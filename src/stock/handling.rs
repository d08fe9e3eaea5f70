//! How fast a location hands over what it has to ship: pure.

use chrono::{Datelike, NaiveDate, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::{Instant, LocalTime, local},
};

/// How fast a location hands over to the carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Handling {
    /// What is ordered before this time on the location's clock is begun the same working day, the rest on the next.
    pub cut_off: LocalTime,
    /// How many working days it takes beside the one on which it is begun.
    pub handling_days: i64,
}

impl Default for Handling {
    fn default() -> Self {
        Self { cut_off: LocalTime::TWO_PM, handling_days: 0 }
    }
}

/// More than that is no handling.
const MOST_DAYS: i64 = 90;

impl Handling {
    /// Checks what the schema says of it.
    ///
    /// # Errors
    /// `invalid_value`.
    pub fn check(self) -> Result<()> {
        match (0..=MOST_DAYS).contains(&self.handling_days) {
            true => Ok(()),
            false => Err(Error::invalid("/handling_days", format!("expected a number from 0 to {MOST_DAYS}"))),
        }
    }

    /// When what was ordered at an instant should have left: at the end of a working day of the zone. That is the day of the
    /// order when it came before the cut-off of a working day, else the next working day; and so many working days later as
    /// handling takes.
    pub fn due_at(self, zone: Tz, placed_at: Instant) -> Instant {
        let mut day = local::day_of(zone, placed_at);
        if !is_working_day(day) || placed_at >= local::at(zone, day, self.cut_off.time()) {
            day = next_working_day(day);
        }
        for _ in 0..self.handling_days {
            day = next_working_day(day);
        }
        local::start_of_day(zone, following(day))
    }
}

/// Monday to Friday: no location has a calendar yet.
fn is_working_day(day: NaiveDate) -> bool {
    !matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
}

fn next_working_day(day: NaiveDate) -> NaiveDate {
    let next = following(day);
    if next == day || is_working_day(next) { next } else { next_working_day(next) }
}

/// The day after; the last day there is has none.
fn following(day: NaiveDate) -> NaiveDate {
    day.succ_opt().unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn due(zone: Tz, handling_days: i64, placed_at: &str) -> String {
        Handling { handling_days, ..Handling::default() }.due_at(zone, placed_at.parse().unwrap()).to_string()
    }

    #[test]
    fn before_the_cut_off_it_leaves_the_same_day_and_after_it_on_the_next_working_day() {
        let berlin = chrono_tz::Europe::Berlin;
        // A Tuesday in winter: two o'clock is 13:00 UTC, midnight 23:00.
        assert_eq!(due(berlin, 0, "2026-01-13T12:59:59.999999Z"), "2026-01-13T23:00:00Z");
        assert_eq!(due(berlin, 0, "2026-01-13T13:00:00Z"), "2026-01-14T23:00:00Z");
        // Just after midnight there it is still Monday in UTC.
        assert_eq!(due(berlin, 0, "2026-01-12T23:00:00Z"), "2026-01-13T23:00:00Z");
        assert_eq!(due(berlin, 2, "2026-01-13T12:00:00Z"), "2026-01-15T23:00:00Z");
    }

    #[test]
    fn the_clock_on_the_wall_counts_around_both_changes() {
        let berlin = chrono_tz::Europe::Berlin;
        // Friday to Monday over 2026-03-29: the cut-off moves from 13:00 to 12:00 UTC, midnight from 23:00 to 22:00.
        assert_eq!(due(berlin, 0, "2026-03-27T12:59:00Z"), "2026-03-27T23:00:00Z");
        assert_eq!(due(berlin, 0, "2026-03-27T13:00:00Z"), "2026-03-30T22:00:00Z");
        assert_eq!(due(berlin, 0, "2026-03-28T10:00:00Z"), "2026-03-30T22:00:00Z");
        assert_eq!(due(berlin, 0, "2026-03-30T11:59:00Z"), "2026-03-30T22:00:00Z");
        assert_eq!(due(berlin, 0, "2026-03-30T12:00:00Z"), "2026-03-31T22:00:00Z");
        // And back over 2026-10-25.
        assert_eq!(due(berlin, 0, "2026-10-23T11:59:00Z"), "2026-10-23T22:00:00Z");
        assert_eq!(due(berlin, 0, "2026-10-23T12:00:00Z"), "2026-10-26T23:00:00Z");
        assert_eq!(due(berlin, 1, "2026-10-23T11:59:00Z"), "2026-10-26T23:00:00Z");
        assert_eq!(due(berlin, 0, "2026-10-26T12:59:00Z"), "2026-10-26T23:00:00Z");
    }

    #[test]
    fn other_zones_have_other_days() {
        // New York has put its clocks forward on 2026-03-08 already.
        assert_eq!(due(chrono_tz::America::New_York, 0, "2026-03-06T18:59:00Z"), "2026-03-07T05:00:00Z");
        assert_eq!(due(chrono_tz::America::New_York, 0, "2026-03-06T19:00:00Z"), "2026-03-10T04:00:00Z");
        // One instant, Friday afternoon in Los Angeles and Saturday morning in Tokyo.
        assert_eq!(due(chrono_tz::America::Los_Angeles, 0, "2026-01-17T00:30:00Z"), "2026-01-20T08:00:00Z");
        assert_eq!(due(chrono_tz::Asia::Tokyo, 0, "2026-01-17T00:30:00Z"), "2026-01-19T15:00:00Z");
        // A Thursday that ends at one o'clock, for midnight is passed over.
        assert_eq!(due(chrono_tz::Africa::Cairo, 0, "2026-04-23T09:00:00Z"), "2026-04-23T22:00:00Z");
    }

    proptest! {
        #[test]
        fn what_is_ordered_later_is_never_due_earlier(
            zone in prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
            seconds in 0i64..4_102_444_800,
            later in 0i64..200_000,
            minutes in 0u32..1440,
            handling_days in 0i64..5,
        ) {
            let cut_off: LocalTime = format!("{:02}:{:02}", minutes / 60, minutes % 60).parse().unwrap();
            let (handling, placed) = (Handling { cut_off, handling_days }, Instant::from_micros(seconds * 1_000_000));
            let due = handling.due_at(zone, placed);
            prop_assert!(due > placed && due <= handling.due_at(zone, placed.plus_seconds(later)));
            prop_assert!(is_working_day(local::day_of(zone, due.plus_seconds(-1))));
        }
    }
}

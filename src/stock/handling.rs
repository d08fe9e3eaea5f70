//! How fast a location hands over what it has to ship: pure.

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::{calendar::following, site::Site};
use crate::kernel::{Instant, local};

impl Site {
    /// The working day on which what was ordered at an instant is begun: the day of the order when it came before the cut-off
    /// of a working day, else the next working day.
    pub(super) fn begins_on(&self, zone: Tz, placed_at: Instant) -> NaiveDate {
        let day = local::day_of(zone, placed_at);
        let cut_off = self.calendar.cut_off_on(day, self.cut_off);
        let today = self.calendar.works_on(day) && placed_at < local::at(zone, day, cut_off.time());
        if today { day } else { self.calendar.next_working_day(day) }
    }

    /// The working day on which it should leave: so many working days after that as handling takes.
    pub(super) fn leaves_on(&self, zone: Tz, placed_at: Instant) -> NaiveDate {
        let mut day = self.begins_on(zone, placed_at);
        for _ in 0..self.handling_days {
            day = self.calendar.next_working_day(day);
        }
        day
    }

    /// When what was ordered at an instant should have left: at the end of that day in the zone.
    pub(super) fn due_at(&self, zone: Tz, placed_at: Instant) -> Instant {
        local::start_of_day(zone, following(self.leaves_on(zone, placed_at)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        kernel::LocalTime,
        stock::calendar::{Calendar, DayCutOff, Weekday},
    };

    fn due(zone: Tz, handling_days: i64, placed_at: &str) -> String {
        Site { handling_days, ..Site::default() }.due_at(zone, placed_at.parse().unwrap()).to_string()
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

    #[test]
    fn a_calendar_has_days_off_and_cut_offs_of_its_own() {
        let berlin = chrono_tz::Europe::Berlin;
        let calendar = Calendar {
            working_days: vec![Weekday::Monday, Weekday::Friday, Weekday::Saturday],
            holidays: vec!["2026-01-16".parse().unwrap()],
            cut_offs: vec![DayCutOff { day: Weekday::Saturday, cut_off: "10:00".parse().unwrap() }],
        };
        let site = Site { calendar: calendar.checked().unwrap(), ..Site::default() };
        let due = |placed_at: &str| site.due_at(berlin, placed_at.parse().unwrap()).to_string();
        // From Tuesday over a Friday that is a holiday to Saturday; there until ten, then Monday.
        assert_eq!(due("2026-01-13T08:00:00Z"), "2026-01-17T23:00:00Z");
        assert_eq!(due("2026-01-17T08:59:00Z"), "2026-01-17T23:00:00Z");
        assert_eq!(due("2026-01-17T09:00:00Z"), "2026-01-19T23:00:00Z");
        let slow = Site { handling_days: 2, ..site.clone() };
        assert_eq!(slow.leaves_on(berlin, "2026-01-17T08:59:00Z".parse().unwrap()).to_string(), "2026-01-23");
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
            let (handling, placed) = (Site { cut_off, handling_days, ..Site::default() }, Instant::from_micros(seconds * 1_000_000));
            let due = handling.due_at(zone, placed);
            prop_assert!(due > placed && due <= handling.due_at(zone, placed.plus_seconds(later)));
            prop_assert!(handling.calendar.works_on(local::day_of(zone, due.plus_seconds(-1))));
        }
    }
}

//! By when goods arrive: from the calendars of the locations that ship them, the days on which what is not there yet comes, and the days
//! of the way. Pure.

use std::collections::{BTreeSet, HashMap};

use chrono::{Datelike, NaiveDate, Weekday};
use serde::{Deserialize, Serialize};

use crate::{
    channels::Channel,
    kernel::{Country, Instant, ids::LocationId, local},
    pricing::Rules,
    stock::{LevelKey, Locations, Share, Spot},
};

/// By when goods leave and arrive. Days are those of the channel's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = DeliveryPromise, example = json!({"ships_by": "2026-01-13", "earliest": "2026-01-15", "latest": "2026-01-16"}))]
pub struct Promise {
    /// The day on which the last parcel has left.
    pub ships_by: NaiveDate,
    /// The first day on which all of it may have arrived.
    pub earliest: NaiveDate,
    /// The day on which all of it has arrived.
    pub latest: NaiveDate,
}

impl Promise {
    /// What is promised of goods that leave on a day and are under way for so many working days, at least and at most.
    #[must_use]
    pub fn leaving(ships_by: NaiveDate, (min, max): (i32, i32)) -> Self {
        Self { ships_by, earliest: after(ships_by, min), latest: after(ships_by, max) }
    }

    /// The end of the last day, by the clock of a zone.
    #[must_use]
    pub fn until(&self, zone: chrono_tz::Tz) -> Instant {
        local::start_of_day(zone, self.latest.succ_opt().unwrap_or(self.latest))
    }

    /// The working days of the way, at least and at most.
    #[must_use]
    pub fn way(&self) -> (i32, i32) {
        (working_days(self.ships_by, self.earliest), working_days(self.ships_by, self.latest))
    }
}

/// A promise that was moved: by when goods arrive as it is known now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = MovedPromise, example = json!({"promise": {"ships_by": "2026-01-20", "earliest": "2026-01-22", "latest": "2026-01-23"},
    "reason": "later", "changed_at": "2026-01-12T09:30:00.000000Z"}))]
pub struct MovedPromise {
    /// By when; absent as long as nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<Promise>,
    /// How it was moved.
    pub reason: MoveReason,
    /// When it was moved.
    pub changed_at: Instant,
}

crate::words! {
    /// How a promise was moved. More words may come.
    pub enum MoveReason {
        /// Goods come later than was thought, or less of them come.
        Later = "later",
        /// Goods come earlier, or are to be had elsewhere.
        Earlier = "earlier",
        /// Nobody knows any more when the goods come.
        Unknown = "unknown",
        /// It is known now when the goods come.
        Known = "known",
    }
}

impl MoveReason {
    /// How a promise is moved from one to another; none where it stays.
    #[must_use]
    pub fn of(was: Option<Promise>, is: Option<Promise>) -> Option<Self> {
        match (was, is) {
            (was, is) if was == is => None,
            (Some(was), Some(is))
                if is.latest < was.latest || (is.latest == was.latest && is.ships_by < was.ships_by) =>
            {
                Some(Self::Earlier)
            }
            (Some(_), Some(_)) => Some(Self::Later),
            (Some(_), None) => Some(Self::Unknown),
            (None, _) => Some(Self::Known),
        }
    }
}

/// Where goods come from, and from when on they are there where they are still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The location that ships them.
    pub location: LocationId,
    /// From when on they are there; absent where they are.
    pub comes: Option<Instant>,
}

/// Where shares come from, as long as it is known of everything that is still to come when it does. `awaited` are those that wait for
/// what comes to their levels: others take what lies there.
#[must_use]
pub fn origins(
    shares: &[Share],
    (coming, awaited): (&HashMap<LevelKey, Option<Instant>>, &BTreeSet<Spot>),
) -> Option<Vec<Origin>> {
    let comes =
        |share: &Share| coming.get(&(share.variant, share.location)).filter(|_| awaited.contains(&share.spot()));
    let origin = |share: &Share| match comes(share) {
        None => Some(Origin { location: share.location, comes: None }),
        Some(Some(at)) => Some(Origin { location: share.location, comes: Some(*at) }),
        Some(None) => None,
    };
    shares.iter().map(origin).collect()
}

/// How many working days goods are under way by a method of a channel to a country, at least and at most; nothing where nobody knows.
#[must_use]
pub fn way(rules: &Rules, channel: &Channel, (method, country): (&str, Country)) -> Option<(i32, i32)> {
    let method = rules.shipping_method(channel.id, method)?;
    method.days_to(country)
}

/// The day on which the last of these goods has left that are ordered at an instant; nothing where there are none.
#[must_use]
pub fn ships_by(
    channel: &Channel,
    (locations, from): (&Locations, &[Origin]),
    ordered_at: Instant,
) -> Option<NaiveDate> {
    let begins = |origin: &Origin| origin.comes.map_or(ordered_at, |comes| comes.max(ordered_at));
    // A channel that promises hours has them counted, wherever it ships from.
    match channel.settings.due_hours {
        Some(hours) => {
            let last = from.iter().map(begins).max()?;
            Some(local::day_of(channel.settings.time_zone.0, last.plus_seconds(3600 * hours)))
        }
        None => {
            let leaves = |origin: &Origin| Some(locations.get(origin.location).ok()?.leaves_on(begins(origin)));
            from.iter().filter_map(leaves).max()
        }
    }
}

/// When a location should have shipped goods that are ordered at an instant: at the end of the working day on which they leave, which is
/// not before they come; in a channel that promises hours so many later.
#[must_use]
pub fn due_at(channel: &Channel, (locations, from): (&Locations, Origin), ordered_at: Instant) -> Instant {
    let begins = from.comes.map_or(ordered_at, |comes| comes.max(ordered_at));
    match channel.settings.due_hours {
        Some(hours) => begins.plus_seconds(3600 * hours),
        None => locations.due_at(from.location, begins, channel.settings.time_zone),
    }
}

/// What is promised of goods that are shipped from there by a method to a country; nothing where nobody knows how long the method
/// takes.
#[must_use]
pub(crate) fn promise(
    (rules, channel): (&Rules, &Channel),
    to: (&str, Country),
    from: (&Locations, &[Origin]),
    placed_at: Instant,
) -> Option<Promise> {
    let way = way(rules, channel, to)?;
    Some(Promise::leaving(ships_by(channel, from, placed_at)?, way)).filter(|promise| promise.latest.year() <= 9999)
}

fn is_working(day: NaiveDate) -> bool {
    !matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
}

/// The day so many working days, Monday to Friday, after another.
fn after(mut day: NaiveDate, days: i32) -> NaiveDate {
    for _ in 0..days {
        loop {
            let Some(next) = day.succ_opt() else { return day };
            day = next;
            if is_working(day) {
                break;
            }
        }
    }
    day
}

/// How many working days one day is after another.
fn working_days(from: NaiveDate, to: NaiveDate) -> i32 {
    let days = from.iter_days().skip(1).take_while(|day| *day <= to).filter(|day| is_working(*day));
    i32::try_from(days.count()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn days_of_the_way_are_working_days() {
        // A Friday, and a Saturday on which a location works.
        assert_eq!(after(day("2026-01-16"), 0), day("2026-01-16"));
        assert_eq!(after(day("2026-01-16"), 1), day("2026-01-19"));
        assert_eq!(after(day("2026-01-17"), 1), day("2026-01-19"));
        assert_eq!(after(day("2026-01-16"), 6), day("2026-01-26"));
        for ships_by in ["2026-01-16", "2026-01-17", "2026-01-19"] {
            for way in [(0, 0), (1, 2), (3, 6), (0, 11)] {
                assert_eq!(Promise::leaving(day(ships_by), way).way(), way, "{ships_by}");
            }
        }
    }

    #[test]
    fn a_promise_is_moved_where_it_is_another() {
        let of = |ships_by: &str| Some(Promise::leaving(day(ships_by), (1, 2)));
        assert_eq!(MoveReason::of(of("2026-01-16"), of("2026-01-16")), None);
        assert_eq!(MoveReason::of(None, None), None);
        assert_eq!(MoveReason::of(of("2026-01-16"), of("2026-01-19")), Some(MoveReason::Later));
        assert_eq!(MoveReason::of(of("2026-01-19"), of("2026-01-16")), Some(MoveReason::Earlier));
        assert_eq!(MoveReason::of(of("2026-01-19"), None), Some(MoveReason::Unknown));
        assert_eq!(MoveReason::of(None, of("2026-01-19")), Some(MoveReason::Known));
        // A week-end between: the same days of arrival.
        let (friday, saturday) = (of("2026-01-16"), of("2026-01-17"));
        assert_eq!(MoveReason::of(friday, saturday), Some(MoveReason::Later));
        assert_eq!(MoveReason::of(saturday, friday), Some(MoveReason::Earlier));
    }
}

//! Local time: what the clock on a wall shows, which instant that is, and days as people name them in filters.

use std::{fmt, str::FromStr};

use chrono::{Datelike, Days, Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, offset::LocalResult};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Instant;

/// The instant at which a day begins in a zone. That is not midnight where the clocks are put forward over it.
#[must_use]
pub fn start_of_day(zone: Tz, day: NaiveDate) -> Instant {
    at(zone, day, NaiveTime::MIN)
}

/// The instant at which a clock on the wall first shows a time, or would have: where the clocks are put forward over it,
/// that is the instant at which they are.
#[must_use]
pub fn at(zone: Tz, day: NaiveDate, time: NaiveTime) -> Instant {
    let local = day.and_time(time);
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Instant::from_utc(at.to_utc()),
        LocalResult::None => put_forward_over(zone, local),
    }
}

/// The instant at which the clocks are put forward over a local time that there is not.
fn put_forward_over(zone: Tz, local: NaiveDateTime) -> Instant {
    let (before, after) = (local - Duration::days(1), local + Duration::days(1));
    let (mut earliest, mut latest) = (before.and_utc().timestamp(), after.and_utc().timestamp());
    // Within a day of it clocks are put forward once, so what they show rises all the time.
    while latest - earliest > 1 {
        let middle = earliest + (latest - earliest) / 2;
        let shown = zone.timestamp_opt(middle, 0).single().map(|at| at.naive_local());
        match shown.is_some_and(|shown| shown < local) {
            true => earliest = middle,
            false => latest = middle,
        }
    }
    Instant::from_micros(latest.saturating_mul(1_000_000))
}

/// The day on which an instant falls in a zone.
#[must_use]
pub fn day_of(zone: Tz, at: Instant) -> NaiveDate {
    at.utc().with_timezone(&zone).date_naive()
}

/// A time of day on a clock on the wall, to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime(NaiveTime);

impl LocalTime {
    /// Two o'clock in the afternoon.
    pub const TWO_PM: Self = match NaiveTime::from_hms_opt(14, 0, 0) {
        Some(time) => Self(time),
        None => Self(NaiveTime::MIN),
    };

    /// The chrono form.
    #[must_use]
    pub const fn time(self) -> NaiveTime {
        self.0
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%H:%M"))
    }
}

/// The text is no time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time of day such as 14:00")]
pub struct NotATime;

impl FromStr for LocalTime {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let time = NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| NotATime)?;
        // One way to write a time, and no leap seconds.
        if Self(time).to_string() == text { Ok(Self(time)) } else { Err(NotATime) }
    }
}

impl Serialize for LocalTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LocalTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl utoipa::PartialSchema for LocalTime {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^([01][0-9]|2[0-3]):[0-5][0-9]$"))
            .examples([serde_json::json!("14:00")])
            .into()
    }
}
impl utoipa::ToSchema for LocalTime {}

/// When, as a filter says it: an instant, or a day of a zone that is known elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// An instant.
    At(Instant),
    /// A whole local day.
    On(NaiveDate),
}

impl Moment {
    /// Where what is asked for begins: with the day.
    #[must_use]
    pub fn begins(self, zone: Tz) -> Instant {
        match self {
            Self::At(at) => at,
            Self::On(day) => start_of_day(zone, day),
        }
    }

    /// Where it ends: with the day, which is still in it; an instant is not.
    #[must_use]
    pub fn ends(self, zone: Tz) -> Instant {
        match self {
            Self::At(at) => at,
            Self::On(day) if day.year() == LAST_YEAR && day.ordinal() == LAST_DAY => last(),
            Self::On(day) => start_of_day(zone, day.checked_add_days(Days::new(1)).unwrap_or(day)),
        }
    }
}

/// The end of time: many systems write its last day where there is no end.
fn last() -> Instant {
    Instant::from_micros(253_402_300_799_999_999)
}
const LAST_YEAR: i32 = 9999;
const LAST_DAY: u32 = 365;

/// The text is neither an instant nor a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an instant such as 2026-03-01T12:00:00Z (RFC 3339) or a day such as 2026-03-01")]
pub struct NotAMoment;

impl FromStr for Moment {
    type Err = NotAMoment;

    fn from_str(text: &str) -> Result<Self, NotAMoment> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| NotAMoment)?;
        // A day more or less stays within what databases keep.
        let kept = (2..=LAST_YEAR).contains(&day.year()) && day.to_string() == text;
        if kept { Ok(Self::On(day)) } else { Err(NotAMoment) }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn starts(zone: Tz, of: &str) -> String {
        start_of_day(zone, day(of)).to_string()
    }

    #[test]
    fn days_begin_when_the_clock_on_the_wall_says_so() {
        let berlin = chrono_tz::Europe::Berlin;
        assert_eq!(starts(berlin, "2026-03-29"), "2026-03-28T23:00:00Z");
        assert_eq!(starts(berlin, "2026-03-30"), "2026-03-29T22:00:00Z");
        assert_eq!(starts(berlin, "2026-10-25"), "2026-10-24T22:00:00Z");
        assert_eq!(starts(berlin, "2026-10-26"), "2026-10-25T23:00:00Z");
        assert_eq!(starts(chrono_tz::America::New_York, "2026-03-09"), "2026-03-09T04:00:00Z");
        assert_eq!(starts(chrono_tz::Asia::Kolkata, "2026-03-29"), "2026-03-28T18:30:00Z");
        // Midnight is passed over, and once a whole day was.
        assert_eq!(starts(chrono_tz::Africa::Cairo, "2026-04-24"), "2026-04-23T22:00:00Z");
        assert_eq!(starts(chrono_tz::Pacific::Apia, "2011-12-30"), "2011-12-30T10:00:00Z");
        assert_eq!(starts(chrono_tz::Pacific::Apia, "2011-12-31"), "2011-12-30T10:00:00Z");
    }

    #[test]
    fn a_time_that_there_is_twice_or_not_at_all_is_its_first_instant() {
        let berlin = chrono_tz::Europe::Berlin;
        let half_past_two: LocalTime = "02:30".parse().unwrap();
        assert_eq!(at(berlin, day("2026-03-29"), half_past_two.time()).to_string(), "2026-03-29T01:00:00Z");
        assert_eq!(at(berlin, day("2026-10-25"), half_past_two.time()).to_string(), "2026-10-25T00:30:00Z");
    }

    #[test]
    fn times_and_days_are_written_one_way() {
        for wrong in ["2:30", "24:00", "02:30:00", "14.00", "", "1400", "２:30"] {
            assert!(wrong.parse::<LocalTime>().is_err(), "{wrong}");
        }
        assert_eq!(LocalTime::TWO_PM, "14:00".parse().unwrap());
        for wrong in
            ["2026-3-1", "2026-02-30", "+2026-03-01", "0001-01-01", "10000-01-01", "29.03.2026", "2026-03-01T12:00:00"]
        {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
        assert_eq!("2026-03-01".parse(), Ok(Moment::On(day("2026-03-01"))));
        let noon = "2026-03-01T12:00:00Z";
        assert_eq!(noon.parse(), Ok(Moment::At(noon.parse().unwrap())));
    }

    fn zones() -> impl Strategy<Value = Tz> {
        prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec())
    }

    proptest! {
        #[test]
        fn each_instant_lies_in_its_day(zone in zones(), seconds in 0i64..4_102_444_800) {
            let instant = Instant::from_micros(seconds * 1_000_000);
            let today = Moment::On(day_of(zone, instant));
            prop_assert!(today.begins(zone) <= instant && instant < today.ends(zone), "{today:?} in {zone}");
        }
    }
}

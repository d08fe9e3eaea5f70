//! Time. Every service takes the time as an argument; only the edge asks a [`Clock`] for it.

use std::{
    fmt,
    str::FromStr,
    sync::Arc,
    sync::atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time, UTC, with microsecond precision: what both databases keep without loss.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(DateTime<Utc>);

/// The first and the last instant that databases keep, in seconds since 1970.
const FIRST: DateTime<Utc> = seconds(-62_135_596_800, 0);
const LAST: DateTime<Utc> = seconds(253_402_300_799, 999_999_000);

const fn seconds(since: i64, nanos: u32) -> DateTime<Utc> {
    match DateTime::from_timestamp(since, nanos) {
        Some(at) => at,
        None => DateTime::<Utc>::UNIX_EPOCH,
    }
}

impl Instant {
    /// Later than anything that happens: the year 2262.
    pub const END: Self = Self(DateTime::<Utc>::from_timestamp_nanos(i64::MAX));

    /// The instant of a chrono time, cut to microseconds; saturates at the ends of the years 1 to 9999, which databases keep.
    #[must_use]
    pub fn from_utc(at: DateTime<Utc>) -> Self {
        Self(at.trunc_subsecs(6).clamp(FIRST, LAST))
    }

    /// The instant so many microseconds after 1970-01-01T00:00:00Z. Outside the years 1 to 9999 becomes the epoch: databases
    /// do not keep all of what chrono knows.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        let at = DateTime::from_timestamp_micros(micros).filter(is_kept);
        Self(at.unwrap_or_default())
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// The chrono form.
    #[must_use]
    pub const fn utc(self) -> DateTime<Utc> {
        self.0
    }

    /// This instant moved by a duration; saturates at the ends of time.
    #[must_use]
    pub fn plus(self, by: chrono::Duration) -> Self {
        self.0.checked_add_signed(by).map_or(self, Self::from_utc)
    }

    /// This instant moved by seconds, which may be negative.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        self.plus(chrono::Duration::seconds(seconds))
    }

    /// Seconds from `earlier` to this instant, negative when `earlier` is later.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> i64 {
        (self.0 - earlier.0).num_seconds()
    }

    /// The form in which SQLite keeps instants: exactly six decimals and `Z`, so that text order is time order.
    #[must_use]
    pub fn sortable(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Micros, true)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not an RFC 3339 instant between the years 1 and 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an instant such as 2026-03-01T12:00:00Z (RFC 3339)")]
pub struct NotAnInstant;

impl FromStr for Instant {
    type Err = NotAnInstant;

    fn from_str(text: &str) -> Result<Self, NotAnInstant> {
        let at = DateTime::parse_from_rfc3339(text).map_err(|_| NotAnInstant)?.to_utc();
        // A leap second is the first of the next minute here: the databases know none.
        let folded = DateTime::from_timestamp_micros(at.timestamp_micros()).ok_or(NotAnInstant)?;
        let at = if at.timestamp_subsec_nanos() < 1_000_000_000 { at } else { folded };
        if is_kept(&at) { Ok(Self::from_utc(at)) } else { Err(NotAnInstant) }
    }
}

fn is_kept(at: &DateTime<Utc>) -> bool {
    (1..=9999).contains(&chrono::Datelike::year(at))
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Instant {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .examples([serde_json::json!("2026-03-01T12:00:00Z")])
            .into()
    }
}
impl utoipa::ToSchema for Instant {}

/// Where the edge gets the time from: the machine's clock, or one that a test turns.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    fixed_micros: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self { fixed_micros: None }
    }

    /// A clock that stands at `start` until it is turned.
    #[must_use]
    pub fn controlled(start: Instant) -> Self {
        Self { fixed_micros: Some(Arc::new(AtomicI64::new(start.micros()))) }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Instant {
        match &self.fixed_micros {
            Some(micros) => Instant::from_micros(micros.load(Ordering::SeqCst)),
            None => Instant::from_utc(Utc::now()),
        }
    }

    /// Turns a controlled clock forward; the machine's clock is left alone.
    pub fn advance_seconds(&self, seconds: i64) {
        if let Some(micros) = &self.fixed_micros {
            micros.fetch_add(seconds.saturating_mul(1_000_000), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_order_is_time_order_and_precision_is_kept() {
        let whole: Instant = "2026-03-01T12:00:00Z".parse().unwrap();
        let later: Instant = "2026-03-01T13:00:00.000001+01:00".parse().unwrap();
        assert!(whole.sortable() < later.sortable());
        assert_eq!(whole.sortable(), "2026-03-01T12:00:00.000000Z");
        assert_eq!(later.sortable().parse::<Instant>().unwrap(), later);
        assert!("2026-03-01".parse::<Instant>().is_err());
        // A leap second is kept as the databases know it, and is none of a year that is not kept.
        assert_eq!("2027-06-30T23:59:60.5Z".parse(), "2027-07-01T00:00:00.5Z".parse::<Instant>());
        assert!("9999-12-31T23:59:60Z".parse::<Instant>().is_err());
        assert_eq!(Instant::from_micros(-99_999_999_999_999_999), Instant::from_micros(0));
        // What is reckoned stays within what is kept: best before the last day of all, west of Greenwich.
        let last: Instant = "9999-12-31T23:59:59.999999Z".parse().unwrap();
        assert_eq!(last.plus_seconds(18_000), last);
        assert_eq!(last.sortable(), "9999-12-31T23:59:59.999999Z");
        let first: Instant = "0001-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(first.plus_seconds(-1), first);
    }
}

//! What a location is beside its name: what kind, where it stands, when it works, how much it can take and whom it serves. Pure.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::calendar::{Calendar, doubled};
use crate::{
    customers::Address,
    error::{Error, Result},
    kernel::{Capabilities, Country, LocalTime, ids::ChannelId},
};

crate::words! {
    /// What kind of place a location is.
    pub enum LocationKind {
        /// A warehouse of one's own.
        Warehouse = "warehouse",
        /// A shop that people walk into.
        Store = "store",
        /// A supplier who ships to customers.
        Supplier = "supplier",
        /// A warehouse that somebody else runs.
        ThirdParty = "third_party",
        /// A dock over which goods go without being stored.
        Hub = "hub",
    }
}

/// Degrees of latitude or longitude, kept in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Degrees(i64);

const MILLION: i64 = 1_000_000;

impl Degrees {
    /// Millionths of a degree.
    #[must_use]
    pub const fn from_millionths(millionths: i64) -> Self {
        Self(millionths)
    }

    /// In millionths of a degree.
    #[must_use]
    pub const fn millionths(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Degrees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (self.0.abs() / MILLION, self.0.abs() % MILLION);
        match rest {
            0 => write!(f, "{sign}{whole}"),
            rest => write!(f, "{sign}{whole}.{}", format!("{rest:06}").trim_end_matches('0')),
        }
    }
}

/// The text is no number of degrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected degrees with at most six digits behind the point, such as \"52.520008\"")]
pub struct NotDegrees;

impl FromStr for Degrees {
    type Err = NotDegrees;

    fn from_str(text: &str) -> Result<Self, NotDegrees> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, rest) = digits.split_once('.').unwrap_or((digits, "0"));
        let number = |text: &str, most: usize| match (1..=most).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_digit())
        {
            true => text.parse::<i64>().map_err(|_| NotDegrees),
            false => Err(NotDegrees),
        };
        let padded = format!("{rest:0<6}");
        let millionths = if rest.is_empty() { Err(NotDegrees) } else { number(&padded, 6) }?;
        Ok(Self(sign * (number(whole, 3)? * MILLION + millionths)))
    }
}

impl Serialize for Degrees {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Degrees {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Degrees {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r"^-?[0-9]{1,3}(\.[0-9]{1,6})?$"))
            .examples([serde_json::json!("52.520008")])
            .into()
    }
}
impl utoipa::ToSchema for Degrees {}

/// Where on earth something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"latitude": "52.520008", "longitude": "13.404954"}))]
pub struct Position {
    /// From -90 (south) to 90 (north).
    pub latitude: Degrees,
    /// From -180 (west) to 180 (east).
    pub longitude: Degrees,
}

impl Position {
    /// Checks that it is on earth. `pointer` is where it stands.
    ///
    /// # Errors
    /// `invalid_value`.
    pub fn check(self, pointer: &str) -> Result<()> {
        let within = |degrees: Degrees, most: i64, name: &str| match degrees.millionths().abs() <= most * MILLION {
            true => Ok(()),
            false => {
                Err(Error::invalid(format!("{pointer}/{name}"), format!("expected degrees from -{most} to {most}")))
            }
        };
        within(self.latitude, 90, "latitude")?;
        within(self.longitude, 180, "longitude")
    }
}

/// What a location is beside its name. It is kept as one document, so what an older version has not written has its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Site {
    /// What is ordered before this time on the location's clock is begun the same working day, what comes later or on another
    /// day on the next one. `due_at` of a fulfilment order is the end of the working day, at the location, on which it is done.
    pub cut_off: LocalTime,
    /// How many working days it takes beside the one on which it is begun: 0 is the same day.
    pub handling_days: i64,
    /// What kind of place it is.
    pub kind: LocationKind,
    /// Its address, for labels and for people who collect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Where on earth it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// On which days it works.
    pub calendar: Calendar,
    /// How many orders it can take in a day; absent where nobody has said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orders_per_day: Option<i64>,
    /// How many pieces can go over its dock in a day; absent where nobody has said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dock_units_per_day: Option<i64>,
    /// The channels whose orders it ships; all where none is named.
    pub channels: Vec<ChannelId>,
    /// The countries it ships to; all where none is named.
    pub countries: Vec<Country>,
    /// What it can do beside what every location can: articles that `require` something are shipped by those alone that name all of it.
    #[serde(skip_serializing_if = "Capabilities::is_none")]
    pub capabilities: Capabilities,
    /// The GS1 company prefix under which it numbers its parcels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]{6,12}$")]
    pub gs1_prefix: Option<String>,
    /// Within so many minutes it has to accept what it is to ship, or that is planned anew without it; absent where it has not to
    /// say anything, as a warehouse has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_minutes: Option<i64>,
    /// For so many days what is ready here is kept for its customer, beside the day on which it is; a week where nobody has said. After that
    /// it is in a work list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collect_days: Option<i64>,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            cut_off: LocalTime::TWO_PM,
            handling_days: 0,
            kind: LocationKind::Warehouse,
            address: None,
            position: None,
            calendar: Calendar::default(),
            orders_per_day: None,
            dock_units_per_day: None,
            channels: Vec::new(),
            countries: Vec::new(),
            capabilities: Capabilities::NONE,
            gs1_prefix: None,
            accept_minutes: None,
            collect_days: None,
        }
    }
}

/// More than that is no handling.
const MOST_DAYS: i64 = 90;
/// More than that is no capacity.
const MOST_A_DAY: i64 = 10_000_000;
/// Nobody is waited for longer than a month.
const MOST_MINUTES: i64 = 43_200;
/// The most channels or countries that are named.
const MOST_SERVED: usize = 300;

impl Site {
    /// Checks what the schema says of it, and sorts its lists.
    ///
    /// # Errors
    /// `invalid_value` with the pointer to the field.
    pub(super) fn checked(self) -> Result<Self> {
        let within = |value: Option<i64>, range: std::ops::RangeInclusive<i64>, pointer: &str| match value {
            Some(value) if !range.contains(&value) => {
                Err(Error::invalid(pointer, format!("expected a number from {} to {}", range.start(), range.end())))
            }
            _ => Ok(()),
        };
        within(Some(self.handling_days), 0..=MOST_DAYS, "/handling_days")?;
        within(self.orders_per_day, 0..=MOST_A_DAY, "/orders_per_day")?;
        within(self.dock_units_per_day, 0..=MOST_A_DAY, "/dock_units_per_day")?;
        within(self.accept_minutes, 1..=MOST_MINUTES, "/accept_minutes")?;
        within(self.collect_days, 1..=MOST_DAYS, "/collect_days")?;
        if let Some(position) = self.position {
            position.check("/position")?;
        }
        served("channels", &self.channels)?;
        served("countries", &self.countries)?;
        let is_prefix =
            |text: &String| (6..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if !self.gs1_prefix.as_ref().is_none_or(is_prefix) {
            return Err(Error::invalid("/gs1_prefix", "expected a GS1 company prefix: 6 to 12 digits"));
        }
        Ok(Self { calendar: self.calendar.checked()?, ..self })
    }

    /// Whether it ships orders of a channel.
    #[must_use]
    pub fn serves_channel(&self, channel: ChannelId) -> bool {
        self.channels.is_empty() || self.channels.contains(&channel)
    }

    /// Whether it ships to a country.
    #[must_use]
    pub fn serves_country(&self, country: Country) -> bool {
        self.countries.is_empty() || self.countries.contains(&country)
    }
}

fn served<T: Ord>(list: &str, items: &[T]) -> Result<()> {
    if items.len() > MOST_SERVED {
        return Err(Error::invalid(format!("/{list}"), format!("expected at most {MOST_SERVED}")));
    }
    match doubled(items) {
        Some(place) => Err(Error::invalid(format!("/{list}/{place}"), "it is there twice")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_are_read_and_written_in_one_way() {
        for (text, millionths) in
            [("52.520008", 52_520_008), ("-0.5", -500_000), ("180", 180_000_000), ("7.05", 7_050_000)]
        {
            assert_eq!(text.parse::<Degrees>().unwrap().millionths(), millionths, "{text}");
            assert_eq!(Degrees::from_millionths(millionths).to_string(), text);
        }
        for wrong in ["", "-", ".5", "5.", "1e2", "1.1234567", "1000", "+1", "1,5", "--1", "1.-5"] {
            assert!(wrong.parse::<Degrees>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_an_older_version_has_kept_reads_as_a_warehouse_that_serves_all() {
        let kept = serde_json::json!({"cut_off": "12:00", "handling_days": 2});
        let site: Site = serde_json::from_value(kept).unwrap();
        let expected = Site { cut_off: "12:00".parse().unwrap(), handling_days: 2, ..Site::default() };
        assert_eq!(site, expected);
        assert!(site.serves_channel(crate::kernel::Id::new()) && site.serves_country(Country::DEFAULT));
    }
}

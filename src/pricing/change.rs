//! Changes of prices by per cent, and what a price ends with. Pure.

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::kernel::Currency;

/// Per cent with a sign: from -99 to 1000, with at most four digits behind the point; travels as a text. `-10` is a tenth less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change(Decimal);

impl Change {
    /// The figure, such as -12.5.
    #[must_use]
    pub const fn value(self) -> Decimal {
        self.0
    }

    /// The change of so many per cent, where it is within the bounds.
    #[must_use]
    pub fn new(value: Decimal) -> Option<Self> {
        let within = value >= Decimal::from(-99) && value <= Decimal::ONE_THOUSAND && value.normalize().scale() <= 4;
        within.then(|| Self(value.normalize()))
    }

    fn parse(text: &str) -> Option<Self> {
        Self::new(Decimal::from_str_exact(Some(text).filter(|text| is_plain(text))?.trim_start_matches('+')).ok()?)
    }

    /// A price, or what something has cost, with the change; exact, and `None` when it is too large.
    #[must_use]
    pub fn of(self, price: Decimal) -> Option<Decimal> {
        price.checked_mul(Decimal::ONE.checked_add(self.0.checked_mul(Decimal::new(1, 2))?)?)
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let expected = "expected per cent such as \"-10\" or \"2.5\": from -99 to 1000";
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(expected))
    }
}

impl utoipa::PartialSchema for Change {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some(r"^[-+]?[0-9]{1,4}(\.[0-9]{1,4})?$"))
            .examples([serde_json::Value::from("-10")])
            .into()
    }
}
impl ToSchema for Change {}

/// The published pattern, letter by letter: `^[-+]?[0-9]{1,4}(\.[0-9]{1,4})?$`.
fn is_plain(text: &str) -> bool {
    let digits = |text: &str| (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    bare.split_once('.').map_or_else(|| digits(bare), |(whole, part)| digits(whole) && digits(part))
}

/// Reads a change that changes something.
pub(super) fn not_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Change, D::Error> {
    let change = Change::deserialize(deserializer)?;
    let expected = "expected per cent such as \"-10\" or \"2.5\": from -99 to 1000, not 0";
    if change.0.is_zero() { Err(serde::de::Error::custom(expected)) } else { Ok(change) }
}

/// A price in whole minor units, halves up.
#[must_use]
pub fn whole(price: Decimal, currency: Currency) -> Decimal {
    price.round_dp_with_strategy(currency.exponent(), RoundingStrategy::MidpointAwayFromZero)
}

/// The nearest price with an ending such as 0.99 that is at most the given one; it may be negative.
#[must_use]
pub fn ended(price: Decimal, ending: Decimal) -> Option<Decimal> {
    let base = price.floor().checked_add(ending)?;
    if base > price { base.checked_sub(Decimal::ONE) } else { Some(base) }
}

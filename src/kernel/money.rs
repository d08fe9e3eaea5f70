//! Money: whole minor units of an ISO 4217 currency, and unit prices with four more digits.
//!
//! Amounts are integers; calculation that leaves the integers is done in [`Decimal`] and comes back through
//! [`Currency::round`], the only place where a fraction of a minor unit is decided about.

use std::{fmt, str::FromStr};

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An ISO 4217 currency that something can be paid in: one with a minor unit, so neither gold nor `XXX`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The three letters.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimal places its minor unit has: EUR 2, JPY 0, KWD 3.
    #[must_use]
    pub fn exponent(self) -> u32 {
        self.0.exponent().map_or(2, u32::from)
    }

    /// Minor units of an exact amount, rounded as told. `None` when it does not fit 64 bits.
    #[must_use]
    pub fn round(self, amount: Decimal, rounding: Rounding) -> Option<i64> {
        let scaled = amount.checked_mul(Decimal::from(10i64.pow(self.exponent())))?;
        i64::try_from(scaled.round_dp_with_strategy(0, rounding.strategy())).ok()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The text is not an ISO 4217 code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an ISO 4217 currency code in upper case, such as EUR")]
pub struct NotACurrency;

impl FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(text: &str) -> Result<Self, NotACurrency> {
        let known = iso_currency::Currency::from_code(text).filter(|known| known.exponent().is_some());
        known.map(Self).ok_or(NotACurrency)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Currency {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[A-Z]{3}$"))
            .description(Some("ISO 4217"))
            .examples([serde_json::json!("EUR")])
            .into()
    }
}
impl utoipa::ToSchema for Currency {}

/// How a fraction of a minor unit is decided about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Half a minor unit goes away from zero: 0.125 → 0.13.
    #[default]
    HalfUp,
    /// Half a minor unit goes to the even neighbour (banker's rounding): 0.125 → 0.12.
    HalfEven,
}

impl Rounding {
    /// The same in the decimal library's words.
    #[must_use]
    pub const fn strategy(self) -> RoundingStrategy {
        match self {
            Self::HalfUp => RoundingStrategy::MidpointAwayFromZero,
            Self::HalfEven => RoundingStrategy::MidpointNearestEven,
        }
    }
}

/// An amount of money: minor units and their currency. In JSON `{"amount":"12.34","currency":"EUR"}`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// The largest amount taken from outside, in minor units, so that sums of a cart can not overflow.
    pub const MAX_INPUT: i64 = 1_000_000_000_000_000;

    /// So many minor units (cents) of a currency.
    #[must_use]
    pub const fn from_minor(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing of a currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// Minor units.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The exact decimal amount in major units.
    #[must_use]
    pub fn decimal(self) -> Decimal {
        Decimal::new(self.minor, self.currency.exponent())
    }

    /// The amount of a decimal text with no more digits than the currency has.
    ///
    /// # Errors
    /// When it is no plain decimal number, has too many digits, or is too large.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, NotMoney> {
        let minor = scaled(amount, currency.exponent())?;
        Ok(Self { minor, currency })
    }
}

/// A plain decimal text as an integer scaled by `10^places`.
fn scaled(text: &str, places: u32) -> Result<i64, NotMoney> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    if !plain || text.is_empty() || text.starts_with('.') || text.ends_with('.') {
        return Err(NotMoney::Form);
    }
    let whole = text.trim_start_matches(['-', '0']).split('.').next().unwrap_or_default();
    let too_large = || NotMoney::TooLarge(Decimal::new(Money::MAX_INPUT, places).normalize());
    if whole.len() > 16 {
        return Err(too_large());
    }
    if text.len() > 24 {
        return Err(NotMoney::Digits);
    }
    let exact = Decimal::from_str_exact(text).map_err(|_| NotMoney::Form)?;
    if exact.normalize().scale() > places {
        return Err(NotMoney::Digits);
    }
    let value = exact.checked_mul(Decimal::from(10i64.pow(places))).and_then(|value| i64::try_from(value).ok());
    value.filter(|value| value.abs() <= Money::MAX_INPUT).ok_or_else(too_large)
}

/// What is wrong with an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotMoney {
    /// It is no plain decimal number.
    #[error("expected a plain decimal text such as \"12.34\"")]
    Form,
    /// It has more decimal places than there are.
    #[error("expected a plain decimal text with no more digits than the currency has, such as \"12.34\"")]
    Digits,
    /// It is above what is taken from outside, which is less of a unit price: that has more digits behind the point.
    #[error("the amount is too large: at most {0} is taken here")]
    TooLarge(Decimal),
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The JSON shape of money and of unit prices.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    #[serde(borrow)]
    amount: std::borrow::Cow<'a, str>,
    currency: Currency,
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire { amount: self.decimal().to_string().into(), currency: self.currency }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = OwnedWire::deserialize(deserializer)?;
        Self::parse(&wire.amount, wire.currency).map_err(serde::de::Error::custom)
    }
}

/// Like [`Wire`], for input that may hold escapes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnedWire {
    amount: String,
    currency: Currency,
}

fn wire_schema(example: &str) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};
    ObjectBuilder::new()
        .property(
            "amount",
            ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^-?[0-9]+(\.[0-9]+)?$")).max_length(Some(24)),
        )
        .required("amount")
        .property("currency", <Currency as utoipa::PartialSchema>::schema())
        .required("currency")
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .examples([serde_json::json!({"amount": example, "currency": "EUR"})])
        .into()
}

impl utoipa::PartialSchema for Money {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        wire_schema("12.34")
    }
}
impl utoipa::ToSchema for Money {}

/// The price of one unit: like [`Money`] with four more digits, so that 0.0125 EUR can be charged per piece.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnitPrice {
    scaled: i64,
    currency: Currency,
}

impl UnitPrice {
    /// Digits beyond the currency's own.
    pub const EXTRA_DIGITS: u32 = 4;

    /// The price stored as an integer scaled by `10^(exponent + 4)`.
    #[must_use]
    pub const fn from_scaled(scaled: i64, currency: Currency) -> Self {
        Self { scaled, currency }
    }

    /// The integer that the database keeps.
    #[must_use]
    pub const fn scaled(self) -> i64 {
        self.scaled
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The exact decimal price in major units.
    #[must_use]
    pub fn decimal(self) -> Decimal {
        Decimal::new(self.scaled, self.currency.exponent() + Self::EXTRA_DIGITS)
    }

    /// The price of a decimal text with at most four digits more than the currency has.
    ///
    /// # Errors
    /// When it is no plain decimal number, has too many digits, or is too large.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, NotMoney> {
        let scaled = scaled(amount, currency.exponent() + Self::EXTRA_DIGITS)?;
        Ok(Self { scaled, currency })
    }

    /// The price that is nearest to a decimal in major units, halves up; `None` when it is larger than what [`UnitPrice::parse`]
    /// takes: it could not be read again where it is kept.
    #[must_use]
    pub fn rounded(price: Decimal, currency: Currency) -> Option<Self> {
        let digits = currency.exponent() + Self::EXTRA_DIGITS;
        let rounded = price.round_dp_with_strategy(digits, Rounding::HalfUp.strategy());
        let scaled: i64 = rounded.checked_mul(Decimal::from(10u64.checked_pow(digits)?))?.try_into().ok()?;
        (scaled.checked_abs()? <= Money::MAX_INPUT).then_some(Self { scaled, currency })
    }

    /// The unit price of a whole amount of money.
    #[must_use]
    pub fn of(money: Money) -> Option<Self> {
        let scaled = money.minor.checked_mul(10i64.pow(Self::EXTRA_DIGITS))?;
        Some(Self { scaled, currency: money.currency })
    }
}

impl fmt::Display for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", display_price(self.decimal(), self.currency), self.currency)
    }
}

impl fmt::Debug for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// No trailing zeros beyond the currency's own digits: 12.50, 0.0125.
fn display_price(exact: Decimal, currency: Currency) -> Decimal {
    let mut shown = exact.normalize();
    if shown.scale() < currency.exponent() {
        shown.rescale(currency.exponent());
    }
    shown
}

impl Serialize for UnitPrice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let amount = display_price(self.decimal(), self.currency).to_string().into();
        Wire { amount, currency: self.currency }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for UnitPrice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = OwnedWire::deserialize(deserializer)?;
        Self::parse(&wire.amount, wire.currency).map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for UnitPrice {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        wire_schema("0.0125")
    }
}
impl utoipa::ToSchema for UnitPrice {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn each_currency_has_its_own_digits() {
        assert_eq!(Money::parse("12.34", currency("EUR")).unwrap().minor(), 1234);
        assert_eq!(Money::parse("1200", currency("JPY")).unwrap().minor(), 1200);
        assert_eq!(Money::parse("1.234", currency("KWD")).unwrap().minor(), 1234);
        assert!(Money::parse("12.345", currency("EUR")).is_err());
        assert!(Money::parse("12.5", currency("JPY")).is_err());
        assert_eq!(Money::parse("12.50", currency("EUR")).unwrap(), Money::parse("12.5", currency("EUR")).unwrap());
    }

    #[test]
    fn what_is_not_a_plain_number_is_refused() {
        for wrong in ["", "1e3", "1,5", " 1", "1_000", "+1", ".5", "5.", "--1", "1-1", "NaN", "99999999999999999999"] {
            assert!(Money::parse(wrong, currency("EUR")).is_err(), "{wrong:?}");
        }
        assert!(["XXX", "XAU", "XTS", "eur"].iter().all(|code| code.parse::<Currency>().is_err()));
    }

    #[test]
    fn what_is_wrong_with_an_amount_is_told() {
        let wrong = |text: &str| Money::parse(text, currency("EUR")).unwrap_err();
        for large in ["10000000000000.01", "-99999999999999999999", "1000000000000000000000000000000000.123"] {
            assert!(matches!(wrong(large), NotMoney::TooLarge(_)), "{large}");
        }
        for long in ["0.001", "1.0000000000000000000000000000000001"] {
            assert_eq!(wrong(long), NotMoney::Digits, "{long}");
        }
        assert_eq!([wrong("twelve"), wrong("--1"), wrong("")], [NotMoney::Form; 3]);
        // The most that is taken, and what is told of it, is less for a unit price.
        let said = |error: NotMoney| error.to_string();
        assert_eq!(said(wrong("10000000000000.01")), "the amount is too large: at most 10000000000000 is taken here");
        let price = UnitPrice::parse("999999999999", currency("EUR")).unwrap_err();
        assert_eq!(said(price), "the amount is too large: at most 1000000000 is taken here");
        assert!(UnitPrice::parse("1000000000", currency("EUR")).is_ok());
    }

    #[test]
    fn a_price_that_is_reckoned_is_no_larger_than_one_that_is_taken() {
        let rounded = |text: &str| UnitPrice::rounded(text.parse().unwrap(), currency("EUR"));
        let most = rounded("1000000000").unwrap();
        assert_eq!(serde_json::from_str::<UnitPrice>(&serde_json::to_string(&most).unwrap()).unwrap(), most);
        assert_eq!((rounded("1000000000.000001"), rounded("11000000000")), (None, None));
        assert_eq!(rounded("1000000000.0000001"), Some(most));
    }

    #[test]
    fn json_is_text_and_strict() {
        let money: Money = serde_json::from_str(r#"{"amount":"12.34","currency":"EUR"}"#).unwrap();
        assert_eq!(serde_json::to_string(&money).unwrap(), r#"{"amount":"12.34","currency":"EUR"}"#);
        assert!(serde_json::from_str::<Money>(r#"{"amount":12.34,"currency":"EUR"}"#).is_err());
        assert!(serde_json::from_str::<Money>(r#"{"amount":"1","currency":"EUR","x":1}"#).is_err());
        let price: UnitPrice = serde_json::from_str(r#"{"amount":"0.0125","currency":"EUR"}"#).unwrap();
        assert_eq!(serde_json::to_string(&price).unwrap(), r#"{"amount":"0.0125","currency":"EUR"}"#);
        let round: UnitPrice = serde_json::from_str(r#"{"amount":"12.5","currency":"EUR"}"#).unwrap();
        assert_eq!(serde_json::to_string(&round).unwrap(), r#"{"amount":"12.50","currency":"EUR"}"#);
    }

    #[test]
    fn half_a_cent_goes_where_the_channel_says() {
        let half = Decimal::new(125, 3);
        assert_eq!(currency("EUR").round(half, Rounding::HalfUp), Some(13));
        assert_eq!(currency("EUR").round(half, Rounding::HalfEven), Some(12));
        assert_eq!(currency("EUR").round(-half, Rounding::HalfUp), Some(-13));
    }

    proptest! {
        #[test]
        fn money_survives_its_json(minor in -Money::MAX_INPUT..Money::MAX_INPUT) {
            for code in ["EUR", "JPY", "KWD"] {
                let money = Money::from_minor(minor, currency(code));
                let text = serde_json::to_string(&money).unwrap();
                prop_assert_eq!(serde_json::from_str::<Money>(&text).unwrap(), money);
            }
        }
    }
}

//! Prices for many pieces at once: 12.50 EUR per 100.

use std::{cmp::Ordering, fmt};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Currency, Quantity, Rounding, UnitPrice};

/// How many pieces a price is for. At least one, at most [`Per::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Per(i64);

impl Per {
    /// The most pieces that a price is for.
    pub const MAX: i64 = 1_000_000;
    /// A single piece.
    pub const ONE: Self = Self(1);

    /// So many pieces.
    ///
    /// # Errors
    /// When it is not between 1 and [`Per::MAX`].
    pub fn new(pieces: i64) -> Result<Self, NotAPer> {
        if (1..=Self::MAX).contains(&pieces) { Ok(Self(pieces)) } else { Err(NotAPer) }
    }

    /// How many.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether the price is for a single piece: then documents leave it out.
    #[must_use]
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "what `skip_serializing_if` calls")]
    pub const fn is_one(&self) -> bool {
        self.0 == 1
    }
}

impl Default for Per {
    fn default() -> Self {
        Self::ONE
    }
}

/// A number of pieces that no price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number from 1 to 1000000")]
pub struct NotAPer;

impl TryFrom<i64> for Per {
    type Error = NotAPer;

    fn try_from(pieces: i64) -> Result<Self, NotAPer> {
        Self::new(pieces)
    }
}

impl From<Per> for i64 {
    fn from(per: Per) -> Self {
        per.0
    }
}

impl utoipa::PartialSchema for Per {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Integer)
            .minimum(Some(1))
            .maximum(Some(Self::MAX))
            .default(Some(1.into()))
            .examples([serde_json::json!(100)])
            .into()
    }
}
impl utoipa::ToSchema for Per {}

/// A price with the pieces that it is for. It is never divided: amounts and comparisons are exact.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PricePer {
    /// What so many pieces cost.
    pub price: UnitPrice,
    /// How many.
    pub per: Per,
}

impl From<UnitPrice> for PricePer {
    fn from(price: UnitPrice) -> Self {
        Self { price, per: Per::ONE }
    }
}

impl PricePer {
    /// A price as the database keeps it, see [`UnitPrice::from_scaled`].
    #[must_use]
    pub const fn from_scaled(scaled: i64, currency: Currency, per: Per) -> Self {
        Self { price: UnitPrice::from_scaled(scaled, currency), per }
    }

    /// Its currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.price.currency()
    }

    /// Compares what a piece costs, of two prices in one currency.
    #[must_use]
    pub fn by_piece(self, other: Self) -> Ordering {
        self.over(other).cmp(&other.over(self))
    }

    /// The price times the pieces that another one is for: of two prices in one currency these compare as what a piece costs.
    fn over(self, other: Self) -> i128 {
        i128::from(self.price.scaled()) * i128::from(other.per.get())
    }

    /// By how many whole per cent a piece is cheaper than it was, cut off and never rounded up; `None` where it is not.
    #[must_use]
    pub fn percent_below(self, before: Self) -> Option<i64> {
        let (was, is) = (before.over(self), self.over(before));
        (was > is && was > 0).then(|| i64::try_from((was - is) * 100 / was).unwrap_or_default())
    }

    /// The same price for so many pieces, where there is an exact one.
    #[must_use]
    pub fn for_pieces(self, per: Per) -> Option<Self> {
        let (product, own) = (i128::from(self.price.scaled()) * i128::from(per.get()), i128::from(self.per.get()));
        let scaled = i64::try_from(product / own).ok().filter(|_| product % own == 0)?;
        Some(Self::from_scaled(scaled, self.currency(), per))
    }

    /// What so many pieces cost in minor units: the price × the quantity ÷ the pieces that it is for, rounded once. `None` when it
    /// is too large.
    #[must_use]
    pub fn amount(self, quantity: Quantity, rounding: Rounding) -> Option<i64> {
        let (exact, whole) = self.fraction(quantity);
        let (minor, rest) = (exact.abs() / whole, exact.abs() % whole);
        let up = match (2 * rest).cmp(&whole) {
            Ordering::Less => false,
            Ordering::Equal => rounding == Rounding::HalfUp || minor % 2 == 1,
            Ordering::Greater => true,
        };
        i64::try_from((minor + i128::from(up)) * exact.signum()).ok()
    }

    /// Whether so many pieces cost whole minor units, so that nothing is rounded.
    #[must_use]
    pub fn is_whole(self, quantity: Quantity) -> bool {
        let (exact, whole) = self.fraction(quantity);
        exact % whole == 0
    }

    /// What so many pieces cost, as a fraction of minor units.
    fn fraction(self, quantity: Quantity) -> (i128, i128) {
        let exact = i128::from(self.price.scaled()) * i128::from(quantity.get());
        (exact, i128::from(self.per.get()) * i128::from(10i64.pow(UnitPrice::EXTRA_DIGITS)))
    }

    /// What so many pieces cost in major units with as many digits as a decimal has: for explanations, not for sums.
    #[must_use]
    pub fn about(self, quantity: Quantity) -> Decimal {
        let exact = self.price.decimal().checked_mul(quantity.get().into());
        exact.and_then(|exact| exact.checked_div(self.per.get().into())).unwrap_or_default()
    }
}

impl fmt::Display for PricePer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.per {
            Per::ONE => write!(f, "{}", self.price),
            Per(pieces) => write!(f, "{} per {pieces}", self.price),
        }
    }
}

impl fmt::Debug for PricePer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price(amount: &str, per: i64) -> PricePer {
        let price = UnitPrice::parse(amount, "EUR".parse().unwrap()).unwrap();
        PricePer { price, per: Per::new(per).unwrap() }
    }

    fn pieces(count: i64) -> Quantity {
        Quantity::new(count).unwrap()
    }

    #[test]
    fn ten_per_three_pieces_is_rounded_once() {
        let price = price("10", 3);
        // 3.33…, 6.66…, 10, 33.33…: a rounded price of one piece would make 9.99 of three and 33.30 of ten.
        let told = [1, 2, 3, 10].map(|count| price.amount(pieces(count), Rounding::HalfUp).unwrap());
        assert_eq!(told, [333, 667, 1000, 3333]);
        assert_eq!([1, 3, 6].map(|count| price.is_whole(pieces(count))), [false, true, true]);
        assert_eq!(price.to_string(), "10.00 EUR per 3");
    }

    #[test]
    fn half_a_cent_goes_where_the_channel_says() {
        // 12.50 per 1000: a piece costs 1.25 cents, two cost 2.5.
        let price = price("12.50", 1000);
        let two = [Rounding::HalfUp, Rounding::HalfEven].map(|rounding| price.amount(pieces(2), rounding).unwrap());
        assert_eq!(two, [3, 2]);
        assert_eq!(price.amount(pieces(6), Rounding::HalfEven), Some(8));
        assert_eq!(price.amount(pieces(1_000_000), Rounding::HalfUp), Some(1_250_000));
    }

    #[test]
    fn prices_are_compared_by_the_piece() {
        assert_eq!(price("12.50", 100).by_piece(price("0.125", 1)), Ordering::Equal);
        assert_eq!(price("10", 3).by_piece(price("3.3333", 1)), Ordering::Greater);
        assert_eq!(price("0", 3).by_piece(price("0", 1)), Ordering::Equal);
        assert_eq!(price("10", 100).percent_below(price("0.125", 1)), Some(20));
        assert_eq!(price("2", 3).percent_below(price("1", 1)), Some(33));
        assert_eq!(price("12.50", 100).percent_below(price("0.125", 1)), None);
        assert_eq!(price("0.125", 1).for_pieces(Per::new(100).unwrap()), Some(price("12.50", 100)));
        assert_eq!(price("10", 3).for_pieces(Per::ONE), None);
    }

    #[test]
    fn per_is_a_whole_number_within_bounds() {
        for wrong in ["0", "-1", "1000001", "1.5", "\"1\"", "null"] {
            assert!(serde_json::from_str::<Per>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(serde_json::from_str::<Per>("1000000").unwrap().get(), Per::MAX);
    }

    proptest! {
        #[test]
        fn amounts_are_those_of_exact_decimals(
            scaled in 0..1_000_000_000_000i64, per in 1..=Per::MAX, count in 0..1_000_000i64, even: bool,
        ) {
            let currency = "EUR".parse().unwrap();
            let price = PricePer::from_scaled(scaled, currency, Per::new(per).unwrap());
            let rounding = if even { Rounding::HalfEven } else { Rounding::HalfUp };
            let minor = i128::from(price.amount(pieces(count), rounding).unwrap());
            // |minor − exact| is at most a half of a minor unit, both over the same denominator.
            let (exact, whole) = (i128::from(scaled) * i128::from(count), i128::from(per) * 10_000);
            prop_assert!(2 * (minor * whole - exact).abs() <= whole);
        }

        #[test]
        fn one_piece_is_priced_as_ever(scaled in 0..1_000_000_000_000i64, count in 0..100_000i64, even: bool) {
            let currency: Currency = "EUR".parse().unwrap();
            let rounding = if even { Rounding::HalfEven } else { Rounding::HalfUp };
            let exact = UnitPrice::from_scaled(scaled, currency).decimal() * Decimal::from(count);
            let price = PricePer::from(UnitPrice::from_scaled(scaled, currency));
            prop_assert_eq!(price.amount(pieces(count), rounding), currency.round(exact, rounding));
        }
    }
}

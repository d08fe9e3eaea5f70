//! Quantities, prices and amounts of a row: exact, and rounded at one place only.

use rust_decimal::Decimal;

use super::{fields::decimal, mapping::Mapping, reason::Defect};
use crate::kernel::{Currency, Money, Quantity, UnitPrice};

/// A whole number within what Kontor takes; `1.000` is one.
pub(super) fn whole(text: &str, comma: bool) -> Option<i64> {
    let number = decimal(text, comma)?;
    if !number.is_integer() {
        return None;
    }
    i64::try_from(number.normalize()).ok().filter(|count| count.abs() <= Quantity::MAX)
}

/// What a row says of its money.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stated {
    /// The price of one, or the amount of all.
    pub(super) value: Decimal,
    /// Whether it is the price of one.
    pub(super) by_piece: bool,
    /// What was taken off the row, with either sign.
    pub(super) off: Decimal,
    /// The same in percent.
    pub(super) off_percent: Decimal,
}

/// What it comes to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Worth {
    /// The price of one.
    pub(super) price: UnitPrice,
    /// Of all, not rounded.
    pub(super) exact: Decimal,
    /// Of all, in minor units.
    pub(super) minor: i64,
}

impl Stated {
    /// Price and amount of so many pieces; or what stands in the way.
    pub(super) fn worth(&self, quantity: i64, mapping: &Mapping, currency: Currency) -> Result<Worth, Defect> {
        let discounted = !self.off.is_zero() || !self.off_percent.is_zero();
        if self.by_piece && !discounted {
            let (exact, minor) = amount(self.value, quantity, mapping, currency).ok_or(Defect::TooLarge)?;
            if let Some(price) = scaled(self.value, currency) {
                return Ok(Worth { price, exact, minor });
            }
        }
        let before = if self.by_piece { self.value.checked_mul(Decimal::from(quantity)) } else { Some(self.value) };
        let exact = self.less_discount(before.ok_or(Defect::TooLarge)?)?;
        let one = unit_price_of(exact, quantity, mapping, currency).ok_or(Defect::InexactPrice)?;
        let (_, minor) = amount(one, quantity, mapping, currency).ok_or(Defect::TooLarge)?;
        let price = scaled(one, currency).ok_or(Defect::InexactPrice)?;
        Ok(Worth { price, exact, minor })
    }

    fn less_discount(&self, before: Decimal) -> Result<Decimal, Defect> {
        let percent = self.off_percent.abs();
        if percent > Decimal::ONE_HUNDRED || self.off.abs() > before.abs() {
            return Err(Defect::BadDiscount);
        }
        let share = before.checked_mul(percent).map(|product| product / Decimal::ONE_HUNDRED);
        let off = if before.is_sign_negative() { -self.off.abs() } else { self.off.abs() };
        let rest = before.checked_sub(share.ok_or(Defect::TooLarge)?).and_then(|rest| rest.checked_sub(off));
        let rest = rest.ok_or(Defect::TooLarge)?;
        // Both together may take more than there is.
        match rest.is_zero() || rest.is_sign_negative() == before.is_sign_negative() {
            true => Ok(rest),
            false => Err(Defect::BadDiscount),
        }
    }
}

/// Price × quantity, exact and in minor units; `None` when too large.
fn amount(price: Decimal, quantity: i64, mapping: &Mapping, currency: Currency) -> Option<(Decimal, i64)> {
    let scale = Decimal::from(10i64.checked_pow(currency.exponent() + UnitPrice::EXTRA_DIGITS)?);
    if price.abs() > Decimal::from(Money::MAX_INPUT).checked_div(scale)? {
        return None;
    }
    let exact = price.checked_mul(Decimal::from(quantity))?;
    let minor = currency.round(exact, mapping.rounding)?;
    (minor.abs() <= Money::MAX_INPUT).then_some((exact, minor))
}

/// A price in the form Kontor keeps; `None` when it has more digits than that.
fn scaled(price: Decimal, currency: Currency) -> Option<UnitPrice> {
    let digits = currency.exponent() + UnitPrice::EXTRA_DIGITS;
    let whole = price.checked_mul(Decimal::from(10i64.checked_pow(digits)?))?.normalize();
    let scaled = whole.is_integer().then(|| i64::try_from(whole).ok())??;
    Some(UnitPrice::from_scaled(scaled, currency))
}

/// The price of one piece that gives an amount; `None` when none does, to the minor unit.
fn unit_price_of(stated: Decimal, quantity: i64, mapping: &Mapping, currency: Currency) -> Option<Decimal> {
    let digits = currency.exponent() + UnitPrice::EXTRA_DIGITS;
    let price = stated.checked_div(Decimal::from(quantity))?.round_dp(digits);
    let wanted = currency.round(stated, mapping.rounding)?;
    (currency.round(price.checked_mul(Decimal::from(quantity))?, mapping.rounding)? == wanted).then_some(price)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::Mapping;

    fn mapping() -> Mapping {
        let text = "channel = \"a\"\ncurrency = \"EUR\"\ncountries = { default = \"DE\" }\n\
                    columns = { number = \"n\", sku = \"s\", date = \"d\", unit_price = \"p\" }\n\
                    date = { format = \"%F\", zone = \"UTC\" }";
        Mapping::parse(text).unwrap()
    }

    fn worth(value: &str, quantity: i64, by_piece: bool, off: &str, percent: &str) -> Result<(String, i64), Defect> {
        let number = |text: &str| text.parse::<Decimal>().unwrap();
        let stated = Stated { value: number(value), by_piece, off: number(off), off_percent: number(percent) };
        let worth = stated.worth(quantity, &mapping(), "EUR".parse().unwrap())?;
        Ok((worth.price.decimal().normalize().to_string(), worth.minor))
    }

    #[test]
    fn discounts_come_off_the_row_and_long_prices_are_cut_where_the_amount_stays() {
        let is = |price: &str, minor: i64| Ok((price.to_owned(), minor));
        assert_eq!(worth("9.99", 3, true, "0", "0"), is("9.99", 2997));
        assert_eq!(worth("10", 3, true, "5", "0"), is("8.333333", 2500));
        assert_eq!(worth("10", 3, true, "-5", "0"), is("8.333333", 2500));
        assert_eq!(worth("10", -3, true, "5", "0"), is("8.333333", -2500));
        assert_eq!(worth("9.99", 2, true, "0", "10"), is("8.991", 1798));
        assert_eq!(worth("30", 3, false, "1", "10"), is("8.666667", 2600));
        assert_eq!(worth("10", 1, true, "0", "100"), is("0", 0));
        assert_eq!(worth("8.403361344537815", 12, true, "0", "0"), is("8.403361", 10084));
        assert_eq!(worth("10", 1, true, "10.01", "0"), Err(Defect::BadDiscount));
        assert_eq!(worth("10", 1, true, "5", "60"), Err(Defect::BadDiscount));
        assert_eq!(worth("0.0000004", 1_000_000_000, true, "0", "0"), Err(Defect::InexactPrice));
    }

    #[test]
    fn a_quantity_may_be_written_with_decimals_as_long_as_it_is_whole() {
        assert_eq!((whole("1.000", false), whole("1,000", true), whole("1.000", true)), (Some(1), Some(1), Some(1000)));
        assert_eq!((whole("-2.0", false), whole("1.5", false), whole("1e3", false)), (Some(-2), None, None));
    }
}

//! The sums: amounts of lines, discounts, tax, totals. Pure, exact to the minor unit, the same for the same input.
//!
//! A fraction of a minor unit is decided about at three declared points only: the amount of a line, the amount of a
//! percentage, and the tax (per line, or per rate over the order). All the rest is adding and spreading whole numbers.

mod shipping;

use std::{cmp::Reverse, collections::HashMap};

use rust_decimal::Decimal;

use super::model::{
    Adjustment, AdjustmentTarget, AdjustmentValue, Input, LineInput, LineTotals, PriceError, RoundingPoint,
    ShippingInput, Step, TaxTotal, Totals,
};
use crate::kernel::{Currency, Money, PricePer, Quantity, Rounding};
pub(super) use shipping::{main_rate, net_value};

#[cfg(test)]
mod tests;

/// Prices lines and shipping: discounts in the order given, then tax, then the sums.
///
/// Where prices include tax, the amount after discount is the gross, `net = gross / (1 + rate)` rounded, and the tax is
/// the rest. Elsewhere it is the net, and `tax = net × rate` rounded comes on top. With [`RoundingPoint::PerOrder`] this
/// is done once per rate over everything that bears it, and the tax is spread over the lines.
///
/// # Errors
/// See [`PriceError`]. What comes back is within [`Money::MAX_INPUT`], so it survives its JSON form.
pub fn price(input: &Input) -> Result<Totals, PriceError> {
    let mut work = Work::new(input)?;
    for adjustment in &input.adjustments {
        work.adjust(adjustment)?;
    }
    work.carry()?;
    work.tax()?;
    work.totals()
}

/// The same of an input that nobody needs any more: how the prices and rates of its lines were chosen is moved, and not copied.
///
/// # Errors
/// See [`PriceError`].
pub fn price_owned(mut input: Input) -> Result<Totals, PriceError> {
    let because: Vec<Vec<Step>> = input.lines.iter_mut().map(|line| std::mem::take(&mut line.because)).collect();
    let mut totals = price(&input)?;
    for (line, mut steps) in totals.lines.iter_mut().zip(because) {
        steps.append(&mut line.explanation);
        line.explanation = steps;
    }
    Ok(totals)
}

/// Spreads a total over weights so that the parts sum to it exactly: each gets its proportion rounded down, and the
/// units that are left go to the largest remainders, the earlier one first.
///
/// A negative total is spread like the positive one. Weights below zero count as zero; when all are zero they count as
/// equal. No part is larger than its proportion rounded up, so a part never exceeds its weight while the total does not
/// exceed their sum. Without weights there is nothing to spread over, and the result is empty.
#[must_use]
pub fn spread(total: i64, weights: &[i64]) -> Vec<i64> {
    let whole: i128 = weights.iter().map(|weight| i128::from(*weight.max(&0))).sum();
    let (even, sign) = (whole == 0, total.signum());
    let divisor = if even { weights.len() as i128 } else { whole };
    let mut left = i128::from(total).abs();
    let magnitude = left;
    let mut remainders = Vec::with_capacity(weights.len());
    let mut parts = Vec::with_capacity(weights.len());
    for (place, weight) in weights.iter().enumerate() {
        let product = magnitude * if even { 1 } else { i128::from(*weight.max(&0)) };
        let part = product / divisor;
        left -= part;
        remainders.push((Reverse(product % divisor), place));
        // A part is never larger than the total, so it fits as the total did.
        parts.push((part * i128::from(sign)) as i64);
    }
    if left > 0 {
        remainders.sort_unstable();
    }
    for (_, place) in remainders.into_iter().take(left as usize) {
        if let Some(part) = parts.get_mut(place) {
            *part += sign;
        }
    }
    parts
}

/// The share of pieces `from..to` (counted from 0) in an amount for `of` pieces, by cumulative rounding: the shares of
/// consecutive ranges sum to the share of the whole range, and those of all pieces to the amount.
///
/// The ends are brought into `0..=of`; an empty range, or none of `of`, has no share. An amount with its tax is shared
/// with [`share_taxed`], since separately rounded shares of net, tax and gross need not agree.
#[must_use]
pub fn share(amount_minor: i64, from: i64, to: i64, of: i64) -> i64 {
    if of <= 0 || to <= from {
        return 0;
    }
    up_to(amount_minor, to, of) - up_to(amount_minor, from, of)
}

/// The share of the first pieces, rounded half away from zero.
fn up_to(amount: i64, pieces: i64, of: i64) -> i64 {
    let (pieces, of) = (u128::from(pieces.clamp(0, of).unsigned_abs()), u128::from(of.unsigned_abs()));
    let part = (2 * u128::from(amount.unsigned_abs()) * pieces + of) / (2 * of);
    // Never larger than the amount, so it fits as the amount did.
    (i128::from(amount.signum()) * part as i128) as i64
}

/// A share of a line or of shipping, in minor units. `net + tax = gross`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaxedShare {
    /// Without tax.
    pub net: i64,
    /// The tax.
    pub tax: i64,
    /// With tax.
    pub gross: i64,
}

/// The share of pieces `from..to` in a gross amount and the tax within it, in minor units, for `of` pieces.
///
/// Gross is shared over the pieces as [`share`] does, and the tax over the gross: so shares of consecutive ranges sum
/// exactly in net, tax and gross, and none of the three falls below zero. Both amounts are as a [`LineTotals`] has them:
/// not negative, and the tax no more than the gross.
#[must_use]
pub fn share_taxed(gross_minor: i64, tax_minor: i64, from: i64, to: i64, of: i64) -> TaxedShare {
    let gross = share(gross_minor, from, to, of);
    let before = share(gross_minor, 0, from, of);
    let tax = share(tax_minor, before, before + gross, gross_minor);
    TaxedShare { net: gross - tax, tax, gross }
}

/// A line or the shipping while it is worked on; minor units.
struct Part {
    subtotal: i64,
    discount: i64,
    rate: Decimal,
    net: i64,
    tax: i64,
    gross: i64,
    steps: Vec<Step>,
}

impl Part {
    fn new(subtotal: i64, rate: Decimal, steps: Vec<Step>) -> Result<Self, PriceError> {
        if rate.is_sign_negative() && !rate.is_zero() {
            return Err(PriceError::Overflow);
        }
        Ok(Self { subtotal: ranged(subtotal)?, discount: 0, rate: rate.normalize(), net: 0, tax: 0, gross: 0, steps })
    }

    /// What the discounts have left.
    fn left(&self) -> i64 {
        self.subtotal - self.discount
    }

    /// Fixes net, tax and gross.
    fn settle(&mut self, tax: i64, included: bool) -> Result<(), PriceError> {
        self.tax = tax;
        (self.net, self.gross) = if included {
            (self.left() - tax, self.left())
        } else {
            (self.left(), ranged(self.left().checked_add(tax).ok_or(PriceError::Overflow)?)?)
        };
        Ok(())
    }
}

/// The pricing under way.
struct Work<'a> {
    input: &'a Input,
    lines: Vec<Part>,
    /// The places of the lines by their numbers, where discounts ask for them.
    places: HashMap<i32, usize>,
    /// Shipping before tax: its price and what is taken off it, by delivery.
    shipping: Vec<Part>,
    /// Shipping by the tax rates that it bears, lowest first, with the place of its delivery.
    carried: Vec<(usize, Part)>,
    explanation: Vec<Step>,
}

impl<'a> Work<'a> {
    fn new(input: &'a Input) -> Result<Self, PriceError> {
        let lines = input.lines.iter().map(|line| line_part(line, input)).collect::<Result<_, _>>()?;
        let shipping = input.shippings().map(|shipping| shipping_part(shipping, input)).collect::<Result<_, _>>()?;
        let numbered = if input.adjustments.is_empty() { &[][..] } else { &input.lines };
        let places = numbered.iter().enumerate().map(|(place, line)| (line.line_no, place)).collect();
        Ok(Self { input, lines, places, shipping, carried: Vec::new(), explanation: vec![rounding_step(input)] })
    }

    /// What bears tax.
    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.lines.iter().chain(self.carried.iter().map(|(_, part)| part))
    }

    fn parts_mut(&mut self) -> impl Iterator<Item = &mut Part> {
        self.lines.iter_mut().chain(self.carried.iter_mut().map(|(_, part)| part))
    }

    /// The distinct rates, lowest first.
    fn rates(&self) -> Vec<Decimal> {
        let mut rates: Vec<Decimal> = self.parts().map(|part| part.rate).collect();
        rates.sort_unstable();
        rates.dedup();
        rates
    }

    fn adjust(&mut self, adjustment: &Adjustment) -> Result<(), PriceError> {
        let line_no = match adjustment.target {
            AdjustmentTarget::Order => return self.adjust_order(adjustment),
            AdjustmentTarget::Shipping => return self.adjust_shipping(adjustment),
            AdjustmentTarget::Line { line_no } => line_no,
        };
        let part = self.places.get(&line_no).and_then(|place| self.lines.get_mut(*place));
        let part = part.ok_or(PriceError::UnknownLine(line_no))?;
        let off = discount(adjustment.value, part.left(), self.input)?;
        part.discount += off;
        part.steps.push(adjustment_step(adjustment, off, self.input.currency));
        Ok(())
    }

    /// What is taken off shipping is taken off that of all deliveries together.
    fn adjust_shipping(&mut self, adjustment: &Adjustment) -> Result<(), PriceError> {
        let weights: Vec<i64> = self.shipping.iter().map(Part::left).collect();
        let off = discount(adjustment.value, sum(weights.iter().copied())?, self.input)?;
        let currency = self.input.currency;
        if weights.is_empty() {
            self.explanation.push(adjustment_step(adjustment, off, currency));
        }
        for (part, off) in self.shipping.iter_mut().zip(spread(off, &weights)) {
            part.discount += off;
            part.steps.push(adjustment_step(adjustment, off, currency));
        }
        Ok(())
    }

    fn adjust_order(&mut self, adjustment: &Adjustment) -> Result<(), PriceError> {
        let weights: Vec<i64> = self.lines.iter().map(Part::left).collect();
        let off = discount(adjustment.value, sum(weights.iter().copied())?, self.input)?;
        let currency = self.input.currency;
        self.explanation.push(adjustment_step(adjustment, off, currency));
        for (part, off) in self.lines.iter_mut().zip(spread(off, &weights)).filter(|(_, off)| *off > 0) {
            part.discount += off;
            part.steps.push(adjustment_step(adjustment, off, currency));
        }
        Ok(())
    }

    fn tax(&mut self) -> Result<(), PriceError> {
        let input = self.input;
        match input.rounding.point {
            RoundingPoint::PerLine => {
                for part in self.parts_mut() {
                    part.settle(tax_on(part.left(), part.rate, input)?, input.prices_include_tax)?;
                }
            }
            RoundingPoint::PerOrder => {
                for rate in self.rates() {
                    let bears = |part: &&Part| part.rate == rate;
                    let weights: Vec<i64> = self.parts().filter(bears).map(Part::left).collect();
                    let tax = tax_on(sum(weights.iter().copied())?, rate, input)?;
                    let bearing = self.parts_mut().filter(|part| part.rate == rate);
                    for (part, tax) in bearing.zip(spread(tax, &weights)) {
                        part.settle(tax, input.prices_include_tax)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn totals(self) -> Result<Totals, PriceError> {
        let input = self.input;
        let money = |minor| Money::from_minor(minor, input.currency);
        let taxes =
            self.rates().into_iter().map(|rate| tax_total(self.parts(), rate, input)).collect::<Result<_, _>>()?;
        let carried = sum(self.carried.iter().map(|(_, part)| part.gross))?;
        let (net, tax, total) = (
            sum(self.parts().map(|part| part.net))?,
            sum(self.parts().map(|part| part.tax))?,
            sum(self.parts().map(|part| part.gross))?,
        );
        let (shipping, shipping_parts) = shipping::totals(input, self.shipping, &self.carried)?;
        Ok(Totals {
            currency: input.currency,
            prices_include_tax: input.prices_include_tax,
            taxes,
            subtotal: money(sum(self.lines.iter().map(|part| part.subtotal))?),
            discount: money(sum(self.lines.iter().map(|part| part.discount))?),
            shipping_total: money(carried),
            net: money(net),
            tax: money(tax),
            total: money(total),
            shipping,
            shipping_parts,
            lines: input.lines.iter().zip(self.lines).map(|(line, part)| line_totals(line, part, money)).collect(),
            explanation: self.explanation,
            promotions: Vec::new(),
            passed_over: Vec::new(),
            tax_treatment: None,
            rules_version: None,
        })
    }
}

/// A line's amount before discount in minor units: unit price × quantity ÷ the units that the price is for, rounded once.
///
/// # Errors
/// See [`PriceError`].
pub fn line_amount(price: PricePer, quantity: Quantity, rounding: Rounding) -> Result<i64, PriceError> {
    ranged(price.price.scaled())?;
    ranged(price.amount(quantity, rounding).ok_or(PriceError::Overflow)?)
}

/// A line with its amount, and a step when there was something to round.
fn line_part(line: &LineInput, input: &Input) -> Result<Part, PriceError> {
    same_currency(line.unit_price.currency(), input)?;
    let (price, quantity) = (line.price(), line.quantity);
    let subtotal = line_amount(price, quantity, input.rounding.strategy)?;
    let mut part = Part::new(subtotal, line.tax_rate, line.because.clone())?;
    if !price.is_whole(quantity) {
        let (money, exact) = (Money::from_minor(subtotal, input.currency), price.about(quantity).normalize());
        let text = format!("{} × {price} = {exact}, rounded to {money}", quantity.get());
        part.steps.push(Step::new("rounding", text));
    }
    Ok(part)
}

fn shipping_part(shipping: &ShippingInput, input: &Input) -> Result<Part, PriceError> {
    same_currency(shipping.price.currency(), input)?;
    Part::new(shipping.price.minor(), shipping.tax_rate, shipping.because.clone())
}

/// What a discount takes of what is left.
fn discount(value: AdjustmentValue, left: i64, input: &Input) -> Result<i64, PriceError> {
    let wanted = match value {
        AdjustmentValue::Amount(amount) => {
            same_currency(amount.currency(), input)?;
            amount.minor()
        }
        AdjustmentValue::Percentage(percentage) => {
            let fraction = percentage.min(Decimal::ONE_HUNDRED).checked_mul(Decimal::new(1, 2));
            let base = Money::from_minor(left, input.currency).decimal();
            // A negative percentage is refused even where it rounds to nothing.
            let exact = fraction.filter(|fraction| *fraction >= Decimal::ZERO).and_then(|it| it.checked_mul(base));
            exact.and_then(|it| input.currency.round(it, input.rounding.strategy)).ok_or(PriceError::Overflow)?
        }
    };
    Ok(ranged(wanted)?.min(left))
}

/// The tax in an amount, or on top of it.
fn tax_on(amount: i64, rate: Decimal, input: &Input) -> Result<i64, PriceError> {
    if rate.is_zero() || amount == 0 {
        return Ok(0);
    }
    let base = Money::from_minor(amount, input.currency).decimal();
    let round = |exact| input.currency.round(exact, input.rounding.strategy);
    let tax = if input.prices_include_tax {
        let net = Decimal::ONE.checked_add(rate).and_then(|factor| base.checked_div(factor)).and_then(round);
        net.and_then(|net| amount.checked_sub(net))
    } else {
        base.checked_mul(rate).and_then(round)
    };
    ranged(tax.ok_or(PriceError::Overflow)?)
}

/// What bears a rate.
fn tax_total<'a>(parts: impl Iterator<Item = &'a Part>, rate: Decimal, input: &Input) -> Result<TaxTotal, PriceError> {
    let (mut net, mut tax, mut gross) = (0, 0, 0);
    for part in parts.filter(|part| part.rate == rate) {
        (net, tax, gross) = (sum([net, part.net])?, sum([tax, part.tax])?, sum([gross, part.gross])?);
    }
    let money = |minor| Money::from_minor(minor, input.currency);
    Ok(TaxTotal { rate, net: money(net), tax: money(tax), gross: money(gross) })
}

fn line_totals(line: &LineInput, part: Part, money: impl Fn(i64) -> Money) -> LineTotals {
    LineTotals {
        line_no: line.line_no,
        unit_price: line.unit_price,
        per: line.per,
        quantity: line.quantity,
        subtotal: money(part.subtotal),
        discount: money(part.discount),
        net: money(part.net),
        tax: money(part.tax),
        gross: money(part.gross),
        tax_rate: part.rate,
        explanation: part.steps,
    }
}

fn rounding_step(input: &Input) -> Step {
    let point = match input.rounding.point {
        RoundingPoint::PerLine => "per line",
        RoundingPoint::PerOrder => "per order",
    };
    let strategy = match input.rounding.strategy {
        Rounding::HalfUp => "half up",
        Rounding::HalfEven => "half even",
    };
    Step::new("rounding", format!("tax {point}, {strategy}"))
}

fn adjustment_step(adjustment: &Adjustment, off: i64, currency: Currency) -> Step {
    let Adjustment { label, source, .. } = adjustment;
    if off == 0 {
        return Step::new("passed_over", format!("{label} ({source}): nothing to reduce"));
    }
    Step::new("adjustment", format!("{label} ({source}): {} off", Money::from_minor(off, currency)))
}

fn same_currency(found: Currency, input: &Input) -> Result<(), PriceError> {
    let expected = input.currency;
    if found == expected { Ok(()) } else { Err(PriceError::CurrencyMismatch { expected, found }) }
}

/// The amount, when it is one that may leave the engine.
fn ranged(minor: i64) -> Result<i64, PriceError> {
    if (0..=Money::MAX_INPUT).contains(&minor) { Ok(minor) } else { Err(PriceError::Overflow) }
}

fn sum(amounts: impl IntoIterator<Item = i64>) -> Result<i64, PriceError> {
    amounts.into_iter().try_fold(0i64, |total, amount| ranged(total.checked_add(amount).ok_or(PriceError::Overflow)?))
}

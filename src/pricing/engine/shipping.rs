//! Which tax shipping bears: that of its own class, that of the main good, or those of the goods that are shipped.
//!
//! Shipping is spread over rates by what is left of the goods in the channel's tax mode. That is by their net values both ways:
//! of amounts with tax that stand to each other as those of the goods do, so do the net amounts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rust_decimal::Decimal;

use super::{Part, Work, ranged, spread, sum, tax_total};
use crate::{
    kernel::{Money, tax::ShippingTax},
    pricing::model::{Input, PriceError, ShippingInput, ShippingTotals, Step, TaxTotal},
};

/// The exact value without tax of an amount in a channel's tax mode; `None` where it can not be told.
pub(in crate::pricing) fn net_value(amount: i64, rate: Decimal, included: bool) -> Option<Decimal> {
    let amount = Decimal::from(amount);
    if included { amount.checked_div(Decimal::ONE.checked_add(rate)?) } else { Some(amount) }
}

/// The rate of the main good: the one that bears the largest net value, of several the highest. `None` where nothing has a value.
pub(in crate::pricing) fn main_rate(nets: impl IntoIterator<Item = (Decimal, Decimal)>) -> Option<Decimal> {
    let mut by_rate: BTreeMap<Decimal, Decimal> = BTreeMap::new();
    for (rate, net) in nets {
        let so_far = by_rate.entry(rate.normalize()).or_default();
        *so_far = so_far.checked_add(net)?;
    }
    let found = by_rate.into_iter().max_by_key(|(rate, net)| (*net, *rate));
    found.filter(|(_, net)| *net > Decimal::ZERO).map(|(rate, _)| rate)
}

impl Work<'_> {
    /// Settles what of shipping bears which rate, once it is known what is left of the goods.
    pub(super) fn carry(&mut self) -> Result<(), PriceError> {
        let input = self.input;
        for (at, (asked, whole)) in input.shippings().zip(&mut self.shipping).enumerate() {
            let goods = goods(input, &self.lines, asked);
            let main = match asked.tax {
                ShippingTax::OwnClass => None,
                ShippingTax::MainGood | ShippingTax::Split => {
                    let net = |(rate, left): &(Decimal, i64)| {
                        Some((*rate, net_value(*left, *rate, input.prices_include_tax)?))
                    };
                    let nets: Option<Vec<_>> = goods.iter().map(net).collect();
                    main_rate(nets.ok_or(PriceError::Overflow)?)
                }
            };
            let Some(main) = main else {
                self.carried.push((at, Part::new(whole.left(), whole.rate, Vec::new())?));
                continue;
            };
            whole.rate = main;
            let mut shares = if asked.tax == ShippingTax::Split { split(whole.left(), &goods)? } else { Vec::new() };
            if shares.is_empty() {
                shares.push((main, whole.left()));
            }
            whole.steps.push(step(&shares, input));
            for (rate, share) in shares {
                self.carried.push((at, Part::new(share, rate, Vec::new())?));
            }
        }
        Ok(())
    }
}

/// What is left of the goods that a delivery carries, with their rates.
fn goods(input: &Input, lines: &[Part], asked: &ShippingInput) -> Vec<(Decimal, i64)> {
    let shipped = input.lines.iter().zip(lines).filter(|(line, _)| line.shipped);
    if asked.carries.is_empty() {
        return shipped.map(|(_, part)| (part.rate, part.left())).collect();
    }
    let places: HashMap<i32, &Part> = shipped.map(|(line, part)| (line.line_no, part)).collect();
    let own = asked.carries.iter().filter_map(|carried| Some((carried, places.get(&carried.line_no)?)));
    own.map(|(carried, part)| (part.rate, carried.share(part.left()))).collect()
}

/// An amount spread over the rates of goods by what is left of these, lowest rate first; what gets nothing is left out.
fn split(amount: i64, goods: &[(Decimal, i64)]) -> Result<Vec<(Decimal, i64)>, PriceError> {
    let mut by_rate: BTreeMap<Decimal, i64> = BTreeMap::new();
    for (rate, left) in goods {
        let so_far = by_rate.entry(*rate).or_default();
        *so_far = ranged(so_far.checked_add(*left).ok_or(PriceError::Overflow)?)?;
    }
    let weights: Vec<i64> = by_rate.values().copied().collect();
    Ok(by_rate.into_keys().zip(spread(amount, &weights)).filter(|(_, share)| *share > 0).collect())
}

fn step(shares: &[(Decimal, i64)], input: &Input) -> Step {
    let percent = |rate: Decimal| rate.checked_mul(Decimal::ONE_HUNDRED).unwrap_or(rate).normalize();
    let text = match shares {
        [(rate, _)] => format!("taxed as the goods are: {} %", percent(*rate)),
        _ => {
            let share = |(rate, share): &(Decimal, i64)| {
                format!("{} at {} %", Money::from_minor(*share, input.currency), percent(*rate))
            };
            format!("taxed as the goods are: {}", shares.iter().map(share).collect::<Vec<_>>().join(", "))
        }
    };
    Step::new("shipping_tax", text)
}

/// Shipping with its tax: that of all deliveries, and each one's where there are several.
pub(super) fn totals(
    input: &Input,
    wholes: Vec<Part>,
    carried: &[(usize, Part)],
) -> Result<(Option<ShippingTotals>, Vec<ShippingTotals>), PriceError> {
    let mut parts = Vec::with_capacity(wholes.len());
    for (at, (from, whole)) in input.shippings().zip(wholes).enumerate() {
        let own: Vec<&Part> = carried.iter().filter(|(of, _)| *of == at).map(|(_, part)| part).collect();
        parts.push(one(input, from, whole, &own)?);
    }
    match parts.as_slice() {
        [] | [_] => Ok((parts.pop(), Vec::new())),
        [first, ..] => Ok((Some(joint(input, first, &parts, carried)?), parts)),
    }
}

/// The shipping of one delivery.
fn one(input: &Input, from: &ShippingInput, whole: Part, own: &[&Part]) -> Result<ShippingTotals, PriceError> {
    let money = |minor| Money::from_minor(minor, input.currency);
    let of = |pick: fn(&Part) -> i64| Ok(money(sum(own.iter().map(|part| pick(part)))?));
    let several = if own.len() > 1 { own } else { &[] };
    let by_rate = several.iter().map(|part| tax_total([*part].into_iter(), part.rate, input));
    Ok(ShippingTotals {
        delivery: from.delivery.clone(),
        code: from.code.clone(),
        name: from.name.clone(),
        subtotal: money(whole.subtotal),
        discount: money(whole.discount),
        net: of(|part| part.net)?,
        tax: of(|part| part.tax)?,
        gross: of(|part| part.gross)?,
        tax_rate: whole.rate,
        parts: by_rate.collect::<Result<_, _>>()?,
        explanation: whole.steps,
    })
}

/// The shipping of several deliveries together.
fn joint(
    input: &Input,
    first: &ShippingTotals,
    parts: &[ShippingTotals],
    carried: &[(usize, Part)],
) -> Result<ShippingTotals, PriceError> {
    let of = |pick: fn(&ShippingTotals) -> Money| {
        Ok(Money::from_minor(sum(parts.iter().map(|part| pick(part).minor()))?, input.currency))
    };
    let rates: BTreeSet<Decimal> = carried.iter().map(|(_, part)| part.rate).collect();
    let by_rate = |rate: Decimal| tax_total(carried.iter().map(|(_, part)| part), rate, input);
    let taxes: Vec<TaxTotal> = rates.iter().map(|rate| by_rate(*rate)).collect::<Result<_, _>>()?;
    let main = main_rate(taxes.iter().map(|tax| (tax.rate, Decimal::from(tax.net.minor()))));
    // By their places: what a shopper calls a delivery is not for those who read explanations.
    let told = |(part, place): (&ShippingTotals, usize)| {
        Step::new("shipping_part", format!("delivery {place}: {} by {}", part.gross, part.code))
    };
    Ok(ShippingTotals {
        delivery: None,
        code: first.code.clone(),
        name: first.name.clone(),
        subtotal: of(|part| part.subtotal)?,
        discount: of(|part| part.discount)?,
        net: of(|part| part.net)?,
        tax: of(|part| part.tax)?,
        gross: of(|part| part.gross)?,
        tax_rate: main.unwrap_or(first.tax_rate),
        parts: if taxes.len() > 1 { taxes } else { Vec::new() },
        explanation: parts.iter().zip(1..).map(told).collect(),
    })
}

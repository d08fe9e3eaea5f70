//! Which tax shipping bears: that of its own class, that of the main good, or those of the goods that are shipped.
//!
//! Shipping is spread over rates by what is left of the goods in the channel's tax mode. That is by their net values both ways:
//! of amounts with tax that stand to each other as those of the goods do, so do the net amounts.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::{Part, Work, ranged, spread, sum, tax_total};
use crate::{
    kernel::{Money, tax::ShippingTax},
    pricing::model::{Input, PriceError, ShippingTotals, Step},
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
        let (Some(whole), Some(asked)) = (&mut self.shipping, &input.shipping) else { return Ok(()) };
        let shipped = input.lines.iter().zip(&self.lines).filter(|(line, _)| line.shipped).map(|(_, part)| part);
        let main = match asked.tax {
            ShippingTax::OwnClass => None,
            ShippingTax::MainGood | ShippingTax::Split => {
                let net = |part: &Part| Some((part.rate, net_value(part.left(), part.rate, input.prices_include_tax)?));
                let nets: Option<Vec<_>> = shipped.clone().map(net).collect();
                main_rate(nets.ok_or(PriceError::Overflow)?)
            }
        };
        let Some(main) = main else {
            self.carried.push(Part::new(whole.left(), whole.rate, Vec::new())?);
            return Ok(());
        };
        whole.rate = main;
        let mut shares = if asked.tax == ShippingTax::Split { split(whole.left(), shipped)? } else { Vec::new() };
        if shares.is_empty() {
            shares.push((main, whole.left()));
        }
        whole.steps.push(step(&shares, input));
        for (rate, share) in shares {
            self.carried.push(Part::new(share, rate, Vec::new())?);
        }
        Ok(())
    }
}

/// An amount spread over the rates of goods by what is left of these, lowest rate first; what gets nothing is left out.
fn split<'a>(amount: i64, goods: impl Iterator<Item = &'a Part>) -> Result<Vec<(Decimal, i64)>, PriceError> {
    let mut by_rate: BTreeMap<Decimal, i64> = BTreeMap::new();
    for part in goods {
        let so_far = by_rate.entry(part.rate).or_default();
        *so_far = ranged(so_far.checked_add(part.left()).ok_or(PriceError::Overflow)?)?;
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

/// Shipping with its tax.
pub(super) fn totals(
    input: &Input,
    whole: Option<Part>,
    carried: &[Part],
) -> Result<Option<ShippingTotals>, PriceError> {
    let (Some(from), Some(whole)) = (&input.shipping, whole) else { return Ok(None) };
    let money = |minor| Money::from_minor(minor, input.currency);
    let of = |pick: fn(&Part) -> i64| Ok(money(sum(carried.iter().map(pick))?));
    let several = if carried.len() > 1 { carried } else { &[] };
    Ok(Some(ShippingTotals {
        code: from.code.clone(),
        name: from.name.clone(),
        subtotal: money(whole.subtotal),
        discount: money(whole.discount),
        net: of(|part| part.net)?,
        tax: of(|part| part.tax)?,
        gross: of(|part| part.gross)?,
        tax_rate: whole.rate,
        parts: several.iter().map(|part| tax_total([part].into_iter(), part.rate, input)).collect::<Result<_, _>>()?,
        explanation: whole.steps,
    }))
}

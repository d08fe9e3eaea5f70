//! What shipping costs a cart, and which tax it bears.

use std::collections::{HashMap, HashSet};

use rust_decimal::Decimal;

use super::{
    QuoteProblem, QuoteRequest, ShippingRequest, Taxed,
    gifts::{Gift, weighed},
    rate,
};
use crate::{
    error::Code,
    kernel::{
        Money, Rounding,
        tax::{InclusivePrices, ShippingTax},
    },
    pricing::{
        engine::{main_rate, net_value},
        model::{ShippingInput, Step},
        rates,
    },
};

/// A line that is shipped, after promotions.
#[derive(Debug, Clone, Copy)]
pub struct Shipped<'a> {
    /// Its tax class.
    pub class: &'a str,
    /// The rate that it bears.
    pub rate: Decimal,
    /// What is left of it in minor units, in the channel's tax mode.
    pub left: i64,
}

/// A line after promotions, as the shipping of one of several deliveries asks for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Good<'a> {
    pub line_no: i32,
    pub shipped: bool,
    pub goods: Shipped<'a>,
}

/// The shipping that is asked for, of each delivery that ships anything, with its price. What can not be had is told.
pub(super) fn shippings(
    (taxed, request): (&Taxed<'_>, &QuoteRequest<'_>),
    lines: &[Good<'_>],
    gifts: &[Gift],
    problems: &mut Vec<QuoteProblem>,
) -> Vec<ShippingInput> {
    let any_gift = gifts.iter().any(|gift| gift.input.shipped);
    let mut found = Vec::new();
    for (at, asked) in request.shipping.iter().chain(&request.further).enumerate() {
        // What promotions give goes with the first.
        let with_gifts = at == 0;
        let ships = match asked.carries.as_slice() {
            [] => request.lines.iter().any(|line| line.shipped),
            pieces => {
                let shipped: HashSet<i32> =
                    request.lines.iter().filter(|line| line.shipped).map(|line| line.line_no).collect();
                pieces.iter().any(|piece| shipped.contains(&piece.line_no))
            }
        };
        if !(ships || with_gifts && any_gift) {
            continue;
        }
        let asked = if with_gifts { weighed(asked, gifts) } else { asked.clone() };
        let goods = carried(lines, &asked);
        let value = goods.iter().map(|good| good.goods.left).fold(0, i64::saturating_add);
        let shipped: Vec<Shipped<'_>> = goods.iter().filter(|good| good.shipped).map(|good| good.goods).collect();
        let value = Money::from_minor(value, request.currency);
        match shipping_input((taxed, request), &asked, value, &shipped) {
            Ok((shipping, untaxed)) => {
                problems.extend(untaxed);
                found.push(shipping);
            }
            Err(problem) => problems.push(problem),
        }
    }
    found
}

/// What a delivery carries of the lines.
fn carried<'a>(lines: &[Good<'a>], asked: &ShippingRequest) -> Vec<Good<'a>> {
    if asked.carries.is_empty() {
        return lines.to_vec();
    }
    let by_line: HashMap<i32, &Good<'a>> = lines.iter().map(|line| (line.line_no, line)).collect();
    let own = asked.carries.iter().filter_map(|piece| Some((piece, by_line.get(&piece.line_no)?)));
    own.map(|(piece, line)| Good { goods: Shipped { left: piece.share(line.goods.left), ..line.goods }, ..**line })
        .collect()
}

/// The shipping that is asked for with its price; `value` is what the goods cost, `shipped` those that are shipped.
fn shipping_input(
    (taxed, request): (&Taxed<'_>, &QuoteRequest<'_>),
    asked: &ShippingRequest,
    value: Money,
    shipped: &[Shipped<'_>],
) -> Result<(ShippingInput, Option<QuoteProblem>), QuoteProblem> {
    let problem = |detail, because| {
        let code = Code::ShippingMethodUnavailable;
        QuoteProblem { line_no: None, delivery: asked.delivery.clone(), code, detail, because }
    };
    let method = taxed
        .rules
        .shipping_method(request.channel, &asked.code)
        .ok_or_else(|| problem(format!("the channel has no shipping method `{}`", asked.code), Vec::new()))?;
    let (country, currency) = (request.country, request.currency);
    let (price, rate_step) = rates::shipping_rate(method, country, currency, asked.weight_grams, value.minor())
        .map_err(|reason| problem(reason.text.clone(), vec![reason]))?;
    let free = asked.free.then(|| Step::new("shipping_free", "the shop bears it"));
    let price = if free.is_some() { Money::zero(price.currency()) } else { price };
    let (tax_rate, tax_step, untaxed) = rate(taxed, &method.tax_class, None);
    let untaxed = untaxed.map(|untaxed| QuoteProblem { delivery: asked.delivery.clone(), ..untaxed });
    let mut because: Vec<Step> = std::iter::once(rate_step).chain(free).collect();
    let charged = charged(taxed, &method.tax_class, price, (tax_rate, shipped), request.rounding.strategy);
    if charged != price {
        because.push(taxed.recomputed_step(&price.to_string(), &charged.to_string()));
    }
    let tax = bears(taxed, shipped);
    // Its own class is asked for where nothing is taxed, for the reason; else only where it bears the tax of that.
    let own = taxed.taxation.country.is_none() || tax == ShippingTax::OwnClass;
    because.extend(Some(tax_step).filter(|_| own));
    let (code, name) = (method.code.clone(), method.name.clone());
    let (delivery, carries) = (asked.delivery.clone(), asked.carries.clone());
    let input = ShippingInput { code, name, price: charged, tax_rate, tax, delivery, carries, because };
    Ok((input, untaxed.filter(|_| own)))
}

/// Which tax shipping bears: where nothing that is shipped has a value, that of its own class.
fn bears(taxed: &Taxed<'_>, shipped: &[Shipped<'_>]) -> ShippingTax {
    let any = shipped.iter().any(|goods| goods.left > 0);
    if any { taxed.sale.policy.shipping } else { ShippingTax::OwnClass }
}

/// What a method's price becomes with the tax that is due.
pub(super) fn charged(
    taxed: &Taxed<'_>,
    class: &str,
    price: Money,
    goods: (Decimal, &[Shipped<'_>]),
    rounding: Rounding,
) -> Money {
    let recomputed = recomputed(taxed, class, price, goods);
    let minor = recomputed.and_then(|price_then| price.currency().round(price_then, rounding));
    minor.map_or(price, |minor| Money::from_minor(minor, price.currency()))
}

/// A price of shipping that includes the tax at home with the tax that is due instead; `None` where it stays as it is.
fn recomputed(
    taxed: &Taxed<'_>,
    class: &str,
    price: Money,
    (rate, shipped): (Decimal, &[Shipped<'_>]),
) -> Option<Decimal> {
    let sale = taxed.sale;
    if !taxed.prices_include_tax || sale.policy.inclusive_prices == InclusivePrices::Fixed {
        return None;
    }
    let method = bears(taxed, shipped);
    if method == ShippingTax::OwnClass {
        return taxed.recomputed(class, price.decimal(), rate);
    }
    // The goods with their net values, at the rates that are due and at those at home.
    let net = |goods: &Shipped<'_>| {
        let (home, _) = taxed.rules.tax(sale.seller.for_vat(), goods.class, taxed.at).ok()?;
        Some((goods.rate, home, net_value(goods.left, goods.rate, true)?))
    };
    let goods: Vec<(Decimal, Decimal, Decimal)> = shipped.iter().map(net).collect::<Option<_>>()?;
    let (due, home) =
        (goods.iter().map(|(due, _, net)| (*due, *net)), goods.iter().map(|(_, home, net)| (*home, *net)));
    let (due, home) = if method == ShippingTax::MainGood {
        (Decimal::ONE.checked_add(main_rate(due)?)?, Decimal::ONE.checked_add(main_rate(home)?)?)
    } else {
        (with_tax(due)?, with_tax(home)?)
    };
    Some(due).filter(|due| *due != home)?;
    price.decimal().checked_mul(due)?.checked_div(home)
}

/// What net values cost with the taxes on them.
fn with_tax(mut nets: impl Iterator<Item = (Decimal, Decimal)>) -> Option<Decimal> {
    nets.try_fold(Decimal::ZERO, |sum, (rate, net)| sum.checked_add(Decimal::ONE.checked_add(rate)?.checked_mul(net)?))
}

//! From what a cart wants to what it costs: which price, which tax and which shipping rate apply to each part, and then
//! the engine's sums. Pure: carts, checkout, orders and offers read [`Rules`] and the prices and ask here.

use std::collections::HashMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    engine,
    model::{Adjustment, AdjustmentTarget, Input, LineInput, PriceError, RoundingRule, ShippingInput, Step, Totals},
    rates::{self, PriceList, PriceRow, ShippingMethod, TaxRate},
};
use crate::{
    error::Code,
    kernel::{
        Country, Currency, Instant, Money, Quantity, UnitPrice,
        ids::{ChannelId, VariantId},
    },
};

#[cfg(test)]
mod tests;

/// The reference data of pricing, in memory. Prices are not in it: there are many, and they are read as they are needed.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// All price lists.
    pub price_lists: Vec<PriceList>,
    /// All tax rates.
    pub tax_rates: Vec<TaxRate>,
    /// The shipping methods of all channels.
    pub shipping_methods: Vec<ShippingMethod>,
}

impl Rules {
    /// The tax rate of a country for a class, with its step.
    ///
    /// # Errors
    /// The step that says that there is none. Nothing is sold then: what is tax-free has a rate of 0, and a class that was
    /// mistyped or a country that was forgotten must not be sold to at 0 % unnoticed.
    pub fn tax(&self, country: Country, class: &str, at: Instant) -> Result<(Decimal, Step), Step> {
        rates::tax_rate(&self.tax_rates, country, class, at)
            .ok_or_else(|| Step::new("no_tax_rate", format!("there is no tax rate for `{class}` in {country}")))
    }

    /// A channel's shipping method by its code.
    #[must_use]
    pub fn shipping_method(&self, channel: ChannelId, code: &str) -> Option<&ShippingMethod> {
        self.shipping_methods.iter().find(|method| method.channel == channel && method.code == code)
    }
}

/// A line whose price is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct LineRequest {
    /// The line's number, unique within the request.
    pub line_no: i32,
    /// What is sold.
    pub variant_id: VariantId,
    /// The variant's tax class.
    pub tax_class: String,
    /// How many units.
    pub quantity: Quantity,
    /// A price that goes before every list's; whoever sets it has made sure that they may.
    pub unit_price_override: Option<UnitPrice>,
}

/// The shipping that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShippingRequest {
    /// The shipping method's code.
    pub code: String,
    /// What the goods weigh together.
    pub weight_grams: i64,
}

/// All that is to be priced together, and what the channel says about it.
#[derive(Debug, Clone, PartialEq)]
pub struct QuoteRequest {
    /// The channel, for its price lists and shipping methods.
    pub channel: ChannelId,
    /// The currency of everything.
    pub currency: Currency,
    /// Whether the channel's prices include tax.
    pub prices_include_tax: bool,
    /// The channel's rounding rule.
    pub rounding: RoundingRule,
    /// Where it is delivered to: its tax and its shipping rates apply.
    pub country: Country,
    /// The time at which prices and rates must be valid.
    pub at: Instant,
    /// The lines, in the order in which the totals list them.
    pub lines: Vec<LineRequest>,
    /// The chosen shipping, if any yet.
    pub shipping: Option<ShippingRequest>,
    /// The discounts, in the order in which they apply.
    pub adjustments: Vec<Adjustment>,
}

/// Why something has no part in the totals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuoteProblem {
    /// The line it is about; `None` is shipping or the whole.
    pub line_no: Option<i32>,
    /// `price_missing`, `tax_rate_missing`, `currency_not_sold`, `shipping_method_unavailable`, `line_unknown` or
    /// `amount_overflow`.
    pub code: Code,
    /// The same for people.
    pub detail: String,
    /// What was looked at and passed over.
    pub because: Vec<Step>,
}

/// What it costs, as far as it can be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Quote {
    /// The totals over everything that has a price; `None` when the amounts do not add up (see `problems`).
    pub totals: Option<Totals>,
    /// What the goods cost after discount, with tax where the channel's prices include it: shipping rates go by it.
    pub goods_value: Money,
    /// What could not be priced and why. Empty: the totals are complete.
    pub problems: Vec<QuoteProblem>,
}

/// Prices lines and shipping. A line without a price becomes a problem and the totals are over the others; so does a
/// shipping method that is not available. What has no tax rate is a problem too, and stands in the totals without tax, for
/// people to see what it will cost about. `prices` is what [`super::prices`] gave for the lines' variants.
#[must_use]
pub fn quote(rules: &Rules, prices: &HashMap<VariantId, Vec<PriceRow>>, request: &QuoteRequest) -> Quote {
    let mut problems = Vec::new();
    let mut lines = Vec::with_capacity(request.lines.len());
    for line in &request.lines {
        match line_input(rules, prices, request, line) {
            Ok((input, untaxed)) => {
                lines.push(input);
                problems.extend(untaxed);
            }
            Err(problem) => problems.push(problem),
        }
    }
    let adjustments = applicable(request, &lines, &mut problems);
    let mut input = Input {
        currency: request.currency,
        prices_include_tax: request.prices_include_tax,
        rounding: request.rounding,
        lines,
        shipping: None,
        adjustments,
    };
    let mut totals = priced(&input, &mut problems);
    let goods_value = totals.as_ref().map_or(Money::zero(request.currency), goods_value);
    if totals.is_some()
        && let Some(asked) = &request.shipping
    {
        match shipping_input(rules, request, asked, goods_value) {
            Ok((shipping, untaxed)) => {
                input.shipping = Some(shipping);
                problems.extend(untaxed);
                totals = priced(&input, &mut problems);
            }
            Err(problem) => problems.push(problem),
        }
    }
    Quote { totals, goods_value, problems }
}

fn line_input(
    rules: &Rules,
    prices: &HashMap<VariantId, Vec<PriceRow>>,
    request: &QuoteRequest,
    line: &LineRequest,
) -> Result<(LineInput, Option<QuoteProblem>), QuoteProblem> {
    let problem = |code, detail, because| QuoteProblem { line_no: Some(line.line_no), code, detail, because };
    let (unit_price, mut because) = if let Some(price) = line.unit_price_override {
        if price.currency() != request.currency {
            let detail = format!("the price is in {} and the cart in {}", price.currency(), request.currency);
            return Err(problem(Code::CurrencyNotSold, detail, Vec::new()));
        }
        (price, vec![Step::new("price_override", format!("set by hand: {price}"))])
    } else {
        let rows = prices.get(&line.variant_id).map(Vec::as_slice).unwrap_or_default();
        let (lists, at) = (&rules.price_lists, request.at);
        match rates::choose_price(lists, rows, request.channel, request.currency, line.quantity, at) {
            Ok(chosen) => (chosen.unit_price, chosen.because),
            Err(because) => {
                let detail = format!("there is no price in {} for {} of it", request.currency, line.quantity.get());
                return Err(problem(Code::PriceMissing, detail, because));
            }
        }
    };
    let (tax_rate, step, untaxed) = taxed(rules, request, &line.tax_class, Some(line.line_no));
    because.push(step);
    Ok((LineInput { line_no: line.line_no, unit_price, quantity: line.quantity, tax_rate, because }, untaxed))
}

/// The tax rate for a class, or 0 with the problem that there is none.
fn taxed(
    rules: &Rules,
    request: &QuoteRequest,
    class: &str,
    line_no: Option<i32>,
) -> (Decimal, Step, Option<QuoteProblem>) {
    match rules.tax(request.country, class, request.at) {
        Ok((rate, step)) => (rate, step, None),
        Err(step) => {
            let (code, detail) = (Code::TaxRateMissing, step.text.clone());
            (Decimal::ZERO, step.clone(), Some(QuoteProblem { line_no, code, detail, because: vec![step] }))
        }
    }
}

/// The discounts without those on lines that have no price; one on a line that was never asked for is a problem.
fn applicable(request: &QuoteRequest, priced: &[LineInput], problems: &mut Vec<QuoteProblem>) -> Vec<Adjustment> {
    let mut kept = Vec::with_capacity(request.adjustments.len());
    for adjustment in &request.adjustments {
        match adjustment.target {
            AdjustmentTarget::Line { line_no } if !priced.iter().any(|line| line.line_no == line_no) => {
                if !request.lines.iter().any(|line| line.line_no == line_no) {
                    let detail = format!("there is no line {line_no} for {} to reduce", adjustment.source);
                    let code = Code::LineUnknown;
                    problems.push(QuoteProblem { line_no: Some(line_no), code, detail, because: Vec::new() });
                }
            }
            _ => kept.push(adjustment.clone()),
        }
    }
    kept
}

fn priced(input: &Input, problems: &mut Vec<QuoteProblem>) -> Option<Totals> {
    let error = match engine::price(input) {
        Ok(totals) => return Some(totals),
        Err(error) => error,
    };
    let code = match error {
        PriceError::CurrencyMismatch { .. } => Code::CurrencyNotSold,
        PriceError::Overflow => Code::AmountOverflow,
        PriceError::UnknownLine(_) => Code::LineUnknown,
    };
    problems.push(QuoteProblem { line_no: None, code, detail: error.to_string(), because: Vec::new() });
    None
}

fn goods_value(totals: &Totals) -> Money {
    Money::from_minor(totals.subtotal.minor() - totals.discount.minor(), totals.currency)
}

fn shipping_input(
    rules: &Rules,
    request: &QuoteRequest,
    asked: &ShippingRequest,
    value: Money,
) -> Result<(ShippingInput, Option<QuoteProblem>), QuoteProblem> {
    let problem = |detail, because| {
        let code = Code::ShippingMethodUnavailable;
        QuoteProblem { line_no: None, code, detail, because }
    };
    let method = rules
        .shipping_method(request.channel, &asked.code)
        .ok_or_else(|| problem(format!("the channel has no shipping method `{}`", asked.code), Vec::new()))?;
    let (country, currency) = (request.country, request.currency);
    let (price, rate_step) = rates::shipping_rate(method, country, currency, asked.weight_grams, value.minor())
        .map_err(|reason| problem(reason.text.clone(), vec![reason]))?;
    let (tax_rate, tax_step, untaxed) = taxed(rules, request, &method.tax_class, None);
    let (code, name) = (method.code.clone(), method.name.clone());
    Ok((ShippingInput { code, name, price, tax_rate, because: vec![rate_step, tax_step] }, untaxed))
}

/// A shipping method as a shopper may choose it, or why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShippingOption {
    /// The shipping method's code.
    #[schema(example = "standard")]
    pub code: String,
    /// Its name for people.
    #[schema(example = "Parcel, 2 to 3 days")]
    pub name: String,
    /// Whether it can be chosen for this cart.
    pub available: bool,
    /// What it costs, with or without tax as the channel has it; absent where it is not available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// The days until delivery, when they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_days: Option<DeliveryDays>,
    /// Why it is not available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Step>,
}

/// How long delivery takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveryDays {
    /// The fewest days.
    #[schema(minimum = 0, maximum = 365, example = 2)]
    pub min: i32,
    /// The most days.
    #[schema(minimum = 0, maximum = 365, example = 3)]
    pub max: i32,
}

impl From<(i32, i32)> for DeliveryDays {
    fn from((min, max): (i32, i32)) -> Self {
        Self { min, max }
    }
}

/// The shipping methods that a channel offers now: those that are available first, the cheapest first. `value` is a
/// quote's `goods_value`.
#[must_use]
pub fn shipping_options(
    rules: &Rules,
    channel: ChannelId,
    country: Country,
    currency: Currency,
    weight_grams: i64,
    value: Money,
) -> Vec<ShippingOption> {
    let offered = rules.shipping_methods.iter().filter(|method| method.channel == channel && method.active);
    let option = |method: &ShippingMethod| {
        let rate = rates::shipping_rate(method, country, currency, weight_grams, value.minor());
        ShippingOption {
            code: method.code.clone(),
            name: method.name.clone(),
            available: rate.is_ok(),
            delivery_days: method.delivery_days.map(DeliveryDays::from),
            price: rate.as_ref().ok().map(|(price, _)| *price),
            reason: rate.err(),
        }
    };
    let mut options: Vec<ShippingOption> = offered.map(option).collect();
    options.sort_by(|a, b| {
        let key = |option: &ShippingOption| (!option.available, option.price.map_or(0, Money::minor));
        key(a).cmp(&key(b)).then_with(|| a.code.cmp(&b.code))
    });
    options
}

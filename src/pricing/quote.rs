//! From what a cart wants to what it costs: which price, which tax and which shipping rate apply to each part, and then
//! the engine's sums. Pure: carts, checkout, orders and offers read [`Rules`] and the prices and ask here.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    engine,
    model::{Buyer, Input, LineInput, PriceError, RoundingRule, ShippingInput, Step, Totals},
    promotions::{Basket, Compiled, Detail, Evaluation, Left, Line, Origin, PromotionState, Redeemed},
    rates::{self, Asking, Audience, ListKind, PriceList, PriceRow, ShippingMethod, TaxRate},
    tax::{Sale, Taxation},
};
use crate::{
    error::Code,
    kernel::{
        Actor, Country, Currency, Device, Instant, Money, Quantity, UnitPrice,
        ids::{ChannelId, PromotionId, VariantId},
        tax::InclusivePrices,
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
    /// The promotions that are not over, in the order in which they go.
    pub promotions: Vec<Compiled>,
    /// Which state of all these this is; rises with every change.
    pub version: Option<i64>,
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

    /// Whether somebody may know of a promotion: it is for all channels, or for one of theirs. One that is over is of no channel.
    #[must_use]
    pub fn sees_promotion(&self, actor: &Actor, id: PromotionId) -> bool {
        let found = self.promotions.iter().find(|ready| ready.promotion.id == id);
        found.map_or(actor.channels().is_none(), |ready| {
            ready.promotion.channel.is_none_or(|channel| actor.sees_channel(channel))
        })
    }

    /// Whether a promotion is one that customers of a channel may know of: no draft, and not for another channel.
    #[must_use]
    pub fn offers_promotion(&self, channel: ChannelId, id: PromotionId) -> bool {
        let found = self.promotions.iter().find(|ready| ready.promotion.id == id);
        found.is_some_and(|ready| {
            let own = ready.promotion.channel.is_none_or(|own| own == channel);
            own && ready.promotion.state != PromotionState::Draft
        })
    }

    /// Whether prices ask who buys.
    #[must_use]
    pub fn ask_for_customers(&self) -> bool {
        self.price_lists.iter().any(|list| list.audience != Audience::All)
    }

    /// Whether prices or promotions ask for the group that a customer belongs to.
    #[must_use]
    pub fn ask_for_groups(&self) -> bool {
        let named = |list: &PriceList| matches!(list.audience, Audience::Group(_));
        let asks = |ready: &Compiled| {
            ready.promotion.state == PromotionState::Active
                && !ready.promotion.rule.conditions.customer_groups.is_empty()
        };
        self.price_lists.iter().any(named) || self.promotions.iter().any(asks)
    }

    /// Whether promotions ask if a customer has ordered before.
    #[must_use]
    pub fn ask_for_first_orders(&self) -> bool {
        let active = self.promotions.iter().filter(|ready| ready.promotion.state == PromotionState::Active);
        active.map(|ready| &ready.promotion.rule).any(|rule| rule.conditions.first_order)
    }

    /// A channel's shipping method by its code.
    #[must_use]
    pub fn shipping_method(&self, channel: ChannelId, code: &str) -> Option<&ShippingMethod> {
        self.shipping_methods.iter().find(|method| method.channel == channel && method.code == code)
    }
}

/// A line whose price is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct LineRequest<'a> {
    /// The line's number, unique within the request.
    pub line_no: i32,
    /// What is sold.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: &'a str,
    /// What else is noted about it.
    pub attributes: &'a BTreeMap<String, serde_json::Value>,
    /// The variant's tax class.
    pub tax_class: &'a str,
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

/// Which promotions are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consider {
    /// None: what was sold long ago is taken over as it was.
    Nothing,
    /// Those that are active.
    Active,
    /// Drafts and paused ones too, as if they were active.
    DraftsToo,
}

/// All that is to be priced together, and what the channel says about it.
#[derive(Debug, Clone, PartialEq)]
pub struct QuoteRequest<'a> {
    /// The channel, for its price lists, promotions and shipping methods.
    pub channel: ChannelId,
    /// The currency of everything.
    pub currency: Currency,
    /// Whether the channel's prices include tax.
    pub prices_include_tax: bool,
    /// The channel's rounding rule.
    pub rounding: RoundingRule,
    /// Where it is delivered to: its shipping rates apply, and its tax as [`QuoteRequest::sale`] says.
    pub country: Country,
    /// Who sells to whom across which border.
    pub sale: &'a Sale,
    /// The time at which prices, promotions and rates must be valid.
    pub at: Instant,
    /// Who buys.
    pub buyer: &'a Buyer,
    /// What the storefront runs on.
    pub device: Device,
    /// Where the visitor comes from.
    pub origin: Option<Origin>,
    /// The coupons on the cart.
    pub coupons: &'a [Redeemed],
    /// What is left of the promotions that are limited.
    pub left: &'a HashMap<PromotionId, Left>,
    /// How much is told of promotions that do not apply.
    pub detail: Detail,
    /// Which promotions are looked at.
    pub consider: Consider,
    /// The lines, in the order in which the totals list them.
    pub lines: Vec<LineRequest<'a>>,
    /// The chosen shipping, if any yet.
    pub shipping: Option<ShippingRequest>,
}

impl QuoteRequest<'_> {
    /// Who asks, where and when.
    #[must_use]
    pub const fn asking(&self) -> Asking<'_> {
        Asking { channel: self.channel, currency: self.currency, buyer: self.buyer, at: self.at }
    }
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

/// Prices lines and shipping, promotions included. A line without a price becomes a problem and the totals are over the others;
/// so does a shipping method that is not available. What has no tax rate is a problem too, and stands in the totals without tax,
/// for people to see what it will cost about. `prices` is what [`super::prices`] gave for the lines' variants.
#[must_use]
pub fn quote(rules: &Rules, prices: &HashMap<VariantId, Vec<PriceRow>>, request: &QuoteRequest<'_>) -> Quote {
    let mut problems = Vec::new();
    let taxed = Taxed::new(rules, request);
    let (mut lines, mut shown) = (Vec::with_capacity(request.lines.len()), Vec::with_capacity(request.lines.len()));
    for line in &request.lines {
        let priced = line_input(rules, prices, &taxed, line).and_then(|(input, reduced, untaxed)| {
            let amount = |price| engine::line_amount(price, line.quantity, request.rounding.strategy);
            let subtotal = amount(input.unit_price)
                .map_err(|error| QuoteProblem { line_no: Some(line.line_no), ..refused(&error) })?;
            let rows = prices.get(&line.variant_id).map(Vec::as_slice).unwrap_or_default();
            let cost = rates::cost(&rules.price_lists, rows, request.asking()).and_then(|cost| amount(cost).ok());
            Ok((shown_line(line, &input, (subtotal, cost), reduced), input, untaxed))
        });
        match priced {
            Ok((line, input, untaxed)) => {
                lines.push(input);
                shown.push(line);
                problems.extend(untaxed);
            }
            Err(problem) => problems.push(problem),
        }
    }
    let basket = basket(request, shown);
    let promotions = if request.consider == Consider::Nothing { &[][..] } else { &rules.promotions };
    let mut evaluation = Evaluation::new(promotions, &basket, request.detail);
    evaluation.goods();
    let goods_value = Money::from_minor(evaluation.goods_value(), request.currency);
    let shipping =
        request.shipping.as_ref().and_then(|asked| match shipping_input(rules, &taxed, asked, goods_value) {
            Ok((shipping, untaxed)) => {
                problems.extend(untaxed);
                evaluation.shipping(shipping.price.minor());
                Some(shipping)
            }
            Err(problem) => {
                problems.push(problem);
                None
            }
        });
    if shipping.is_none() {
        evaluation.no_shipping();
    }
    let Evaluation { adjustments, applied, passed_over, .. } = evaluation;
    let input = Input {
        currency: request.currency,
        prices_include_tax: request.prices_include_tax,
        rounding: request.rounding,
        lines,
        shipping,
        adjustments,
    };
    let totals = engine::price(&input).map_err(|error| problems.push(refused(&error))).ok();
    let (rules_version, tax_treatment) = (rules.version, Some(taxed.taxation.treatment));
    let totals =
        totals.map(|totals| Totals { promotions: applied, passed_over, tax_treatment, rules_version, ..totals });
    Quote { totals, goods_value, problems }
}

/// A line as promotions look at it.
fn shown_line<'a>(
    line: &LineRequest<'a>,
    input: &LineInput,
    (subtotal, cost): (i64, Option<i64>),
    reduced: bool,
) -> Line<'a> {
    Line {
        line_no: line.line_no,
        sku: line.sku,
        attributes: line.attributes,
        unit_price: input.unit_price,
        quantity: line.quantity.get(),
        subtotal,
        cost,
        reduced,
        agreed: line.unit_price_override.is_some(),
    }
}

fn basket<'a>(request: &'a QuoteRequest<'_>, lines: Vec<Line<'a>>) -> Basket<'a> {
    Basket {
        channel: request.channel,
        currency: request.currency,
        rounding: request.rounding.strategy,
        at: request.at,
        country: request.country,
        device: request.device,
        buyer: request.buyer,
        origin: request.origin.as_ref(),
        coupons: request.coupons,
        left: request.left,
        lines,
        with_drafts: request.consider == Consider::DraftsToo,
    }
}

/// A line with its price, and whether that is the price of a sale.
fn line_input(
    rules: &Rules,
    prices: &HashMap<VariantId, Vec<PriceRow>>,
    taxed: &Taxed<'_>,
    line: &LineRequest<'_>,
) -> Result<(LineInput, bool, Option<QuoteProblem>), QuoteProblem> {
    let request = taxed.request;
    let problem = |code, detail, because| QuoteProblem { line_no: Some(line.line_no), code, detail, because };
    let (tax_rate, step, untaxed) = taxed.rate(line.tax_class, Some(line.line_no));
    let (unit_price, reduced, mut because) = if let Some(price) = line.unit_price_override {
        if price.currency() != request.currency {
            let detail = format!("the price is in {} and the cart in {}", price.currency(), request.currency);
            return Err(problem(Code::CurrencyNotSold, detail, Vec::new()));
        }
        (price, false, vec![Step::new("price_override", format!("set by hand: {price}"))])
    } else {
        let rows = prices.get(&line.variant_id).map(Vec::as_slice).unwrap_or_default();
        match rates::choose_price(&rules.price_lists, rows, request.asking(), line.quantity) {
            Ok(chosen) => {
                let mut because = chosen.because;
                let recomputed = taxed.recomputed(line.tax_class, chosen.unit_price.decimal(), tax_rate);
                let price = recomputed.and_then(|price| UnitPrice::rounded(price, request.currency));
                if let Some(price) = price {
                    because.push(taxed.recomputed_step(&chosen.unit_price.to_string(), &price.to_string()));
                }
                (price.unwrap_or(chosen.unit_price), chosen.kind == ListKind::Sale, because)
            }
            Err(because) => {
                let detail = format!("there is no price in {} for {} of it", request.currency, line.quantity.get());
                return Err(problem(Code::PriceMissing, detail, because));
            }
        }
    };
    because.push(step);
    let (line_no, quantity) = (line.line_no, line.quantity);
    Ok((LineInput { line_no, unit_price, quantity, tax_rate, because }, reduced, untaxed))
}

/// How what is priced is taxed.
struct Taxed<'a> {
    rules: &'a Rules,
    request: &'a QuoteRequest<'a>,
    taxation: Taxation,
    /// Why nothing is taxed.
    untaxed: Option<Step>,
}

impl<'a> Taxed<'a> {
    fn new(rules: &'a Rules, request: &'a QuoteRequest<'a>) -> Self {
        let taxation = request.sale.taxation();
        Self { rules, request, untaxed: taxation.untaxed(request.sale), taxation }
    }

    /// The tax rate for a class, or 0 with the problem that there is none.
    fn rate(&self, class: &str, line_no: Option<i32>) -> (Decimal, Step, Option<QuoteProblem>) {
        if let (Some(step), None) = (&self.untaxed, self.taxation.country) {
            return (Decimal::ZERO, step.clone(), None);
        }
        let country = self.taxation.country.unwrap_or(self.request.country);
        match self.rules.tax(country, class, self.request.at) {
            Ok((rate, step)) => (rate, step, None),
            Err(step) => {
                let (code, detail) = (Code::TaxRateMissing, step.text.clone());
                (Decimal::ZERO, step.clone(), Some(QuoteProblem { line_no, code, detail, because: vec![step] }))
            }
        }
    }

    /// A price that includes the tax at home with the tax that is due instead; `None` where it stays as it is.
    fn recomputed(&self, class: &str, price: Decimal, rate: Decimal) -> Option<Decimal> {
        let sale = self.request.sale;
        if !self.request.prices_include_tax || sale.policy.inclusive_prices == InclusivePrices::Fixed {
            return None;
        }
        let (home, _) = self.rules.tax(sale.seller, class, self.request.at).ok().filter(|(home, _)| *home != rate)?;
        let net = price.checked_div(Decimal::ONE.checked_add(home)?)?;
        net.checked_mul(Decimal::ONE.checked_add(rate)?)
    }

    fn recomputed_step(&self, from: &str, to: &str) -> Step {
        let seller = self.request.sale.seller;
        Step::new("recomputed", format!("{from} with the tax of {seller} is {to} with the tax that is due"))
    }
}

fn refused(error: &PriceError) -> QuoteProblem {
    let code = match error {
        PriceError::CurrencyMismatch { .. } => Code::CurrencyNotSold,
        PriceError::Overflow => Code::AmountOverflow,
        PriceError::UnknownLine(_) => Code::LineUnknown,
    };
    QuoteProblem { line_no: None, code, detail: error.to_string(), because: Vec::new() }
}

fn shipping_input(
    rules: &Rules,
    taxed: &Taxed<'_>,
    asked: &ShippingRequest,
    value: Money,
) -> Result<(ShippingInput, Option<QuoteProblem>), QuoteProblem> {
    let request = taxed.request;
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
    let (tax_rate, tax_step, untaxed) = taxed.rate(&method.tax_class, None);
    let mut because = vec![rate_step];
    let recomputed = taxed.recomputed(&method.tax_class, price.decimal(), tax_rate);
    let recomputed = recomputed.and_then(|price| currency.round(price, request.rounding.strategy));
    let charged = recomputed.map_or(price, |minor| Money::from_minor(minor, currency));
    if recomputed.is_some() {
        because.push(taxed.recomputed_step(&price.to_string(), &charged.to_string()));
    }
    because.push(tax_step);
    let (code, name) = (method.code.clone(), method.name.clone());
    Ok((ShippingInput { code, name, price: charged, tax_rate, because }, untaxed))
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

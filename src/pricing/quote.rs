//! From what a cart wants to what it costs: which price, which tax and which shipping rate apply to each part, and then
//! the engine's sums. Pure: carts, checkout, orders and offers read [`Rules`] and the prices and ask here.

mod gifts;
mod later;
mod prices;
mod shipping;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    engine,
    filed::Filed,
    model::{Buyer, Carried, Input, LineInput, PriceError, RoundingRule, Step, Totals},
    promotions::{self, Basket, Compiled, Detail, Evaluation, Left, Line, Origin, PromotionState, Redeemed},
    rates::{self, Asking, Audience, ListKind, PriceList, PriceRow, ShippingMethod, TaxRate},
    tax::Sale,
    taxed::Taxed,
};
use crate::{
    error::Code,
    kernel::{
        Actor, Country, Currency, Device, Instant, Money, PricePer, Quantity, Rounding,
        ids::{ChannelId, LocationId, PriceListId, PromotionId, VariantId},
    },
};

pub use gifts::{GiftGoods, GiftRequest, Given};
pub use later::{Repriced, Sold, SoldLine, grant, revoke};
use prices::Prices;
pub use shipping::Shipped;
use shipping::{Good, shippings};

#[cfg(test)]
mod tests;

/// The reference data of pricing, in memory: filed by channel and country, so that a quote looks at nobody else's. Prices are not in
/// it: there are many, and they are read as they are needed.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// All price lists.
    pub price_lists: Filed<PriceList>,
    /// All tax rates.
    pub tax_rates: Filed<TaxRate>,
    /// The shipping methods of all channels.
    pub shipping_methods: Filed<ShippingMethod>,
    /// The promotions that are not over, in the order in which they go.
    pub promotions: Filed<Compiled>,
    /// When promotions went on that everybody got, as far as that matters to prices before reductions: each valid just in that time,
    /// in the order in which they go.
    pub promotion_runs: Filed<Compiled>,
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
        rates::tax_rate(self.tax_rates.of(country), country, class, at)
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
        let found = self.promotions.of(channel).iter().find(|ready| ready.promotion.id == id);
        found.is_some_and(|ready| ready.promotion.state != PromotionState::Draft)
    }

    /// Whether prices ask who buys.
    #[must_use]
    pub fn ask_for_customers(&self) -> bool {
        self.price_lists.iter().any(|list| list.audience != Audience::All)
    }

    /// Whether promotions of a channel ask if a customer has ordered before.
    #[must_use]
    pub fn ask_for_first_orders(&self, channel: ChannelId) -> bool {
        let active = self.promotions.of(channel).iter().filter(|ready| ready.promotion.state == PromotionState::Active);
        active.map(|ready| &ready.promotion.rule).any(|rule| rule.conditions.first_order)
    }

    /// Whether it matters to the price of a cart that it is paid by another method than the one that is chosen: a promotion that
    /// reduces it is not for the other, whatever has become of it, or one that is going on in its channel is for the one and not for
    /// the other. `totals` are those of the cart.
    #[must_use]
    pub fn tell_payments_apart(
        &self,
        (channel, at): (ChannelId, Instant),
        totals: Option<&Totals>,
        (one, other): (Option<&str>, Option<&str>),
    ) -> bool {
        let earns = |methods: &[&str], method: Option<&str>| method.is_some_and(|method| methods.contains(&method));
        let apart = |methods: Vec<&str>| earns(&methods, one) != earns(&methods, other);
        // What reduces it was earned by what was chosen then, whether that is offered still or not.
        let unearned = |methods: &[String]| {
            !methods.is_empty() && !other.is_some_and(|other| methods.iter().any(|known| known == other))
        };
        let mut applied = totals.into_iter().flat_map(|totals| &totals.promotions);
        let mut going_on = self.promotions.of(channel).iter().filter(|ready| ready.is_going_on(channel, at));
        applied.any(|promotion| unearned(&promotion.payment_methods))
            || going_on.any(|ready| {
                apart(ready.promotion.rule.conditions.payment_methods.iter().map(|method| &**method).collect())
            })
    }

    /// The promotions that a quote looks at: those of its channel; all of them where it is to tell of each why it does not apply.
    fn looked_at(&self, request: &QuoteRequest<'_>) -> &[Arc<Compiled>] {
        match (request.consider, request.detail) {
            (Consider::Nothing, _) => &[],
            (_, Detail::InQuestion) => self.promotions.of(request.channel),
            (_, Detail::All) => &self.promotions,
        }
    }

    /// Whether promotions give goods to a cart.
    #[must_use]
    pub fn give_goods(&self, request: &QuoteRequest<'_>) -> bool {
        promotions::give_goods(self.looked_at(request), request.consider == Consider::DraftsToo)
    }

    /// The promotions that may give goods to a cart, whatever is in it, with the SKUs of these.
    #[must_use]
    pub fn goods_in_question(&self, request: &QuoteRequest<'_>) -> Vec<(PromotionId, String)> {
        promotions::goods_in_question(self.looked_at(request), &basket(request, Vec::new()))
    }

    /// A channel's shipping method by its code.
    #[must_use]
    pub fn shipping_method(&self, channel: ChannelId, code: &str) -> Option<&ShippingMethod> {
        let own = self.shipping_methods.of(channel).iter();
        own.map(Arc::as_ref).find(|method| method.code == code)
    }
}

/// A component of a bundle whose price is asked for: what it has cost is what the bundle has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartRequest<'a> {
    /// What.
    pub variant_id: VariantId,
    /// Its tax class.
    pub tax_class: &'a str,
    /// How many pieces of it are in one bundle.
    pub quantity: i64,
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
    /// Whether it is shipped.
    pub shipped: bool,
    /// A price that goes before every list's; whoever sets it has made sure that they may.
    pub price_override: Option<PricePer>,
    /// What it is made of, where it is a bundle. Its price is its own.
    pub parts: Vec<PartRequest<'a>>,
}

/// The shipping that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShippingRequest {
    /// The shipping method's code.
    pub code: String,
    /// What the lines weigh together; what promotions give comes on top, in the first delivery.
    pub weight_grams: i64,
    /// The key of the delivery that it is for, where there are several.
    pub delivery: Option<String>,
    /// The pieces that it carries; all lines where it names none.
    pub carries: Vec<Carried>,
    /// Whether the shop bears it.
    pub free: bool,
}

impl ShippingRequest {
    /// All of it by one method.
    #[must_use]
    pub const fn whole(code: String, weight_grams: i64) -> Self {
        Self { code, weight_grams, delivery: None, carries: Vec::new(), free: false }
    }
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
    /// The payment method that is chosen.
    pub payment_method: Option<&'a str>,
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
    /// What promotions that give goods may give.
    pub gifts: Vec<GiftRequest<'a>>,
    /// The chosen shipping, if any yet. It counts where anything is shipped.
    pub shipping: Option<ShippingRequest>,
    /// That of further deliveries. It counts where anything of theirs is shipped.
    pub further: Vec<ShippingRequest>,
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
    /// The key of the delivery whose shipping it is about, where there are several.
    pub delivery: Option<String>,
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
    /// The lines whose prices are those of a contract, each with the list of it.
    pub by_contract: Vec<(i32, PriceListId)>,
    /// The lines that promotions give; the totals have them behind the others.
    pub given: Vec<Given>,
    /// What could not be priced and why. Empty: the totals are complete.
    pub problems: Vec<QuoteProblem>,
}

/// Prices lines and shipping, promotions included. A line without a price becomes a problem and the totals are over the others;
/// so does a shipping method that is not available. What has no tax rate is a problem too, and stands in the totals without tax,
/// for people to see what it will cost about. `prices` is what [`super::prices`] gave for the lines' variants.
#[must_use]
pub fn quote(rules: &Rules, prices: &HashMap<VariantId, Vec<PriceRow>>, request: &QuoteRequest<'_>) -> Quote {
    let mut problems = Vec::new();
    let taxed = Taxed::new(rules, request.sale, request.at, (request.prices_include_tax, request.rounding.strategy));
    let (mut lines, mut shown) = (Vec::with_capacity(request.lines.len()), Vec::with_capacity(request.lines.len()));
    let (mut classes, mut by_contract) = (Vec::with_capacity(request.lines.len()), Vec::new());
    let lists = rates::in_question(rules.price_lists.of(request.channel), request.asking());
    let known = Prices { rows: prices, lists: &lists };
    for line in &request.lines {
        let priced = line_input(known, (&taxed, request), line).and_then(|(input, from, untaxed)| {
            let subtotal = engine::line_amount(input.price(), line.quantity, request.rounding.strategy)
                .map_err(|error| QuoteProblem { line_no: Some(line.line_no), ..refused(&error) })?;
            let cost = known.cost(line, (&taxed, request), input.tax_rate);
            let reduced = from.is_some_and(|(kind, _)| kind == ListKind::Sale);
            by_contract
                .extend(from.filter(|(kind, _)| *kind == ListKind::Contract).map(|(_, list)| (line.line_no, list)));
            Ok((shown_line(line, &input, (subtotal, cost), reduced), input, untaxed))
        });
        match priced {
            Ok((view, input, untaxed)) => {
                lines.push(input);
                shown.push(view);
                classes.push(line.tax_class);
                problems.extend(untaxed);
            }
            Err(problem) => problems.push(problem),
        }
    }
    let mut basket = basket(request, shown);
    gifts::offered(known, (&taxed, request), &mut basket);
    let mut evaluation = Evaluation::new(rules.looked_at(request), &basket, request.detail);
    evaluation.goods();
    let goods_value = Money::from_minor(evaluation.goods_value(), request.currency);
    let goods: Vec<Good<'_>> = lines
        .iter()
        .zip(classes)
        .zip(evaluation.left())
        .map(|((line, class), left)| Good {
            line_no: line.line_no,
            shipped: line.shipped,
            goods: Shipped { class, rate: line.tax_rate, left },
        })
        .collect();
    let gifts = gifts::given(&evaluation.gifts, known, (&taxed, request)).unwrap_or_else(|problem| {
        problems.push(problem);
        Vec::new()
    });
    let mut shipping = shippings((&taxed, request), &goods, &gifts, &mut problems);
    match shipping.as_slice() {
        [] => evaluation.no_shipping(),
        // What is taken off shipping is taken off that of all deliveries together.
        all => evaluation.shipping(all.iter().map(|one| one.price.minor()).fold(0, i64::saturating_add)),
    }
    let further = shipping.split_off(shipping.len().min(1));
    let Evaluation { adjustments, applied, passed_over, .. } = evaluation;
    let given = gifts.iter().map(|gift| gift.given).collect();
    lines.extend(gifts.into_iter().map(|gift| gift.input));
    let input = Input {
        currency: request.currency,
        prices_include_tax: request.prices_include_tax,
        rounding: request.rounding,
        lines,
        shipping: shipping.pop(),
        further,
        adjustments,
    };
    let totals = engine::price_owned(input).map_err(|error| problems.push(refused(&error))).ok();
    let (rules_version, tax_treatment) = (rules.version, Some(taxed.taxation.treatment));
    let totals =
        totals.map(|totals| Totals { promotions: applied, passed_over, tax_treatment, rules_version, ..totals });
    Quote { totals, goods_value, by_contract, given, problems }
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
        price: input.price(),
        quantity: line.quantity.get(),
        subtotal,
        cost,
        reduced,
        agreed: line.price_override.is_some(),
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
        payment_method: request.payment_method,
        coupons: request.coupons,
        left: request.left,
        lines,
        gifts: HashMap::new(),
        with_drafts: request.consider == Consider::DraftsToo,
    }
}

/// A line with its price, and the list that it is from.
fn line_input(
    prices: Prices<'_>,
    (taxed, request): (&Taxed<'_>, &QuoteRequest<'_>),
    line: &LineRequest<'_>,
) -> Result<(LineInput, Option<(ListKind, PriceListId)>, Option<QuoteProblem>), QuoteProblem> {
    let problem =
        |code, detail, because| QuoteProblem { line_no: Some(line.line_no), delivery: None, code, detail, because };
    let (tax_rate, step, untaxed) = rate(taxed, line.tax_class, Some(line.line_no));
    let (price, from, mut because) = if let Some(price) = line.price_override {
        if price.currency() != request.currency {
            let detail = format!("the price is in {} and the cart in {}", price.currency(), request.currency);
            return Err(problem(Code::CurrencyNotSold, detail, Vec::new()));
        }
        (price, None, vec![Step::new("price_override", format!("set by hand: {price}"))])
    } else {
        let (rows, asking) = (prices.of(line.variant_id), request.asking());
        // Tiers are told to whoever asks for all that there is to say, and to nobody else: a cart may have a thousand lines.
        let tiers = || match request.detail {
            Detail::All => rates::passed_over_tiers(prices.lists, rows, asking, line.quantity),
            Detail::InQuestion => Vec::new(),
        };
        match rates::choose_price(prices.lists, rows, asking, line.quantity) {
            Ok(chosen) => {
                let mut because = chosen.because;
                because.extend(tiers());
                let Some(price) = taxed.unit_price(line.tax_class, chosen.price, tax_rate) else {
                    let detail = format!("{} with the tax that is due is too large", chosen.price);
                    return Err(problem(Code::AmountOverflow, detail, because));
                };
                if price != chosen.price {
                    because.push(taxed.recomputed_step(&chosen.price.to_string(), &price.to_string()));
                }
                (price, Some((chosen.kind, chosen.list)), because)
            }
            Err(_) => {
                // Of the channel's lists those too that are not for whoever asks.
                let mut because = rates::no_price(taxed.rules.price_lists.of(request.channel), asking, line.quantity);
                because.extend(tiers());
                let detail = format!("there is no price in {} for {} of it", request.currency, line.quantity.get());
                return Err(problem(Code::PriceMissing, detail, because));
            }
        }
    };
    because.push(step);
    let (line_no, quantity, shipped) = (line.line_no, line.quantity, line.shipped);
    let PricePer { price: unit_price, per } = price;
    Ok((LineInput { line_no, unit_price, per, quantity, tax_rate, shipped, because }, from, untaxed))
}

/// The tax rate for a class, or 0 with the problem that there is none.
fn rate(taxed: &Taxed<'_>, class: &str, line_no: Option<i32>) -> (Decimal, Step, Option<QuoteProblem>) {
    match taxed.rate(class) {
        Ok((rate, step)) => (rate, step, None),
        Err(step) => {
            let (code, detail) = (Code::TaxRateMissing, step.text.clone());
            (
                Decimal::ZERO,
                step.clone(),
                Some(QuoteProblem { line_no, delivery: None, code, detail, because: vec![step] }),
            )
        }
    }
}

fn refused(error: &PriceError) -> QuoteProblem {
    let code = match error {
        PriceError::CurrencyMismatch { .. } => Code::CurrencyNotSold,
        PriceError::Overflow => Code::AmountOverflow,
        PriceError::UnknownLine(_) => Code::LineUnknown,
    };
    QuoteProblem { line_no: None, delivery: None, code, detail: error.to_string(), because: Vec::new() }
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
    /// The location where the customer picks it up; absent where it is shipped to an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pickup_location_id: Option<LocationId>,
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

/// The shipping methods that a channel offers now, at what they cost with the tax that is due: those that are available first, the
/// cheapest first. `value` is a quote's `goods_value`, `shipped` the goods that are shipped.
#[must_use]
pub fn shipping_options(
    taxed: &Taxed<'_>,
    (channel, country): (ChannelId, Country),
    (weight_grams, shipped): (i64, &[Shipped<'_>]),
    value: Money,
    rounding: Rounding,
) -> Vec<ShippingOption> {
    let charged = |method: &ShippingMethod, price: Money| {
        // Without a rate there is a problem that says so, and the price is without tax, as in a quote.
        let rate = taxed.rate(&method.tax_class).map_or(Decimal::ZERO, |(rate, _)| rate);
        shipping::charged(taxed, &method.tax_class, price, (rate, shipped), rounding)
    };
    let offered = taxed.rules.shipping_methods.of(channel).iter().filter(|method| method.active);
    let option = |method: &Arc<ShippingMethod>| {
        let rate = rates::shipping_rate(method, country, value.currency(), weight_grams, value.minor());
        ShippingOption {
            code: method.code.clone(),
            name: method.name.clone(),
            available: rate.is_ok(),
            delivery_days: method.days_to(country).map(DeliveryDays::from),
            price: rate.as_ref().ok().map(|(price, _)| charged(method, *price)),
            reason: rate.err(),
            pickup_location_id: method.pickup,
        }
    };
    let mut options: Vec<ShippingOption> = offered.map(option).collect();
    sort_options(&mut options);
    options
}

/// Puts shipping methods that are available in front, the cheapest first.
pub fn sort_options(options: &mut [ShippingOption]) {
    options.sort_by(|a, b| {
        let key = |option: &ShippingOption| (!option.available, option.price.map_or(0, Money::minor));
        key(a).cmp(&key(b)).then_with(|| a.code.cmp(&b.code))
    });
}

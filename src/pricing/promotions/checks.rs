//! What whoever activates a promotion should know: which others it adds up with, and how low prices may fall. Pure: articles with
//! their prices and costs go in.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;

use super::{
    compiled::{Compiled, Line},
    forms::{Example, Warning},
    model::{Gift, Off, Percent, Promotion, PromotionState, Selection, Target},
};
use crate::kernel::{Currency, Instant, Money, PricePer, Quantity, Rounding, ids::PromotionId};

/// So many articles are named with a warning.
const EXAMPLES: usize = 5;

/// An article with its price and what it has cost the merchant.
#[derive(Debug, Clone)]
pub(super) struct Article<'a> {
    pub line: Line<'a>,
    pub cost: Option<PricePer>,
}

/// How low an article may fall.
struct Fall<'a> {
    article: &'a Article<'a>,
    lowest: Decimal,
}

/// The dearest article that each item of a bundle may be, in one market.
#[derive(Debug, Default)]
pub(super) struct Dearest(HashMap<PromotionId, Vec<Decimal>>);

impl Dearest {
    /// Notes what articles cost that are in bundles.
    pub(super) fn note<'p, 'a: 'p>(&mut self, bundles: &[&Compiled], articles: impl Iterator<Item = &'p Article<'a>>) {
        for article in articles {
            let piece = piece(article.line.price);
            for ready in bundles.iter().filter(|ready| ready.is_for(&article.line)) {
                let items = self.0.entry(ready.promotion.id).or_insert_with(|| vec![Decimal::ZERO; ready.items.len()]);
                let own = items.iter_mut().zip(&ready.items).filter(|(_, set)| set.has(&article.line));
                own.for_each(|(dearest, _)| *dearest = piece.max(*dearest));
            }
        }
    }

    /// What a piece of an article costs in a bundle whose other pieces are the dearest there are: these bear the most of its price.
    fn in_bundle(&self, ready: &Compiled, article: &Article<'_>) -> Option<Decimal> {
        let Gift::Bundle { items, price, .. } = &ready.promotion.rule.gift else { return None };
        let (dearest, own) = (self.0.get(&ready.promotion.id)?, piece(article.line.price));
        if dearest.iter().any(Decimal::is_zero) {
            return None;
        }
        let times = |count: i64, amount: Decimal| Decimal::from(count).checked_mul(amount);
        let mut all = Decimal::ZERO;
        for (item, dearest) in items.iter().zip(dearest) {
            all = all.checked_add(times(item.quantity, *dearest)?)?;
        }
        let places = items.iter().zip(dearest).zip(&ready.items).filter(|(_, set)| set.has(&article.line));
        let with_it = places.filter_map(|((item, dearest), _)| all.checked_sub(times(item.quantity, *dearest - own)?));
        own.checked_mul(price.decimal())?.checked_div(with_it.max()?)
    }
}

impl Compiled {
    /// Whether it may take something off an article.
    fn touches(&self, line: &Line<'_>) -> bool {
        let unknown_cost = line.cost.is_none() && self.promotion.rule.stacking.not_below_cost;
        match &self.promotion.rule.gift {
            Gift::BuyGet { of: Some(_), .. } => !unknown_cost && self.of.as_ref().is_some_and(|of| of.has(line)),
            Gift::Bundle { .. } => self.is_for(line) && self.items.iter().any(|set| set.has(line)),
            _ => self.is_for(line),
        }
    }
}

/// Of the prices that an article has, the one that falls lowest: the lowest that a promotion may reduce. `None` where it reduces none.
pub(super) fn worst<'p, 'a>(ready: &Compiled, offered: &'p [Article<'a>]) -> Option<&'p Article<'a>> {
    let cost = |article: &Article<'_>| article.cost.map(piece);
    let lower = |one: &&Article<'_>, other: &&Article<'_>| {
        one.line.price.by_piece(other.line.price).then_with(|| cost(other).cmp(&cost(one)))
    };
    offered.iter().filter(|article| ready.touches(&article.line)).min_by(lower)
}

/// A warning that is about no article in particular.
pub(super) fn plain(code: &str, detail: &str) -> Warning {
    Warning { code: code.into(), detail: detail.into(), promotion_id: None, articles: 0, examples: Vec::new() }
}

fn adds_up(name: &str) -> String {
    format!("it adds up with {name}: make them not combinable, or put them into one group, if that is not meant")
}

/// The warnings about other promotions that reduce shipping beside one that does.
pub(super) fn shipping_overlaps(others: &[Compiled]) -> Vec<Warning> {
    let told = |other: &Compiled| {
        let detail = format!("on shipping {}", adds_up(&other.promotion.code));
        Warning { promotion_id: Some(other.promotion.id), ..plain("overlap", &detail) }
    };
    others.iter().map(told).collect()
}

/// The warnings about a promotion and its articles in one currency, among those that go with it.
pub(super) fn warnings(
    (ready, others): (&Compiled, &[Compiled]),
    own: &[&Article<'_>],
    currency: Currency,
    dearest: Option<&Dearest>,
) -> Vec<Warning> {
    if ready.on_shipping {
        return Vec::new();
    }
    let mut overlaps: BTreeMap<PromotionId, Vec<Fall<'_>>> = BTreeMap::new();
    let (mut free, mut below_cost, mut below_half) = (Vec::new(), Vec::new(), Vec::new());
    for article in own {
        let price = piece(article.line.price);
        let mut lowest = after(ready, article, price, dearest);
        let mut floor = floor_of(&ready.promotion, article);
        let mut shared = Vec::new();
        for other in others.iter().filter(|other| other.touches(&article.line)) {
            lowest = after(other, article, lowest, dearest);
            floor = floor.max(floor_of(&other.promotion, article));
            shared.push(other.promotion.id);
        }
        let lowest = lowest.max(floor).min(price);
        for id in shared {
            overlaps.entry(id).or_default().push(Fall { article, lowest });
        }
        let list = if lowest.is_zero() {
            &mut free
        } else if article.cost.is_some_and(|cost| lowest < piece(cost)) {
            &mut below_cost
        } else if lowest.checked_mul(Decimal::TWO).is_some_and(|double| double < price) {
            &mut below_half
        } else {
            continue;
        };
        list.push(Fall { article, lowest });
    }
    let names: HashMap<PromotionId, &str> =
        others.iter().map(|other| (other.promotion.id, other.promotion.code.as_str())).collect();
    let mut warnings: Vec<Warning> = Vec::new();
    for (id, falls) in overlaps {
        let detail = adds_up(names.get(&id).copied().unwrap_or_default());
        warnings.push(Warning { promotion_id: Some(id), ..warning("overlap", detail, falls, currency) });
    }
    for (code, falls, detail) in [
        ("free", free, "articles may be given away"),
        ("below_cost", below_cost, "articles may be sold for less than they have cost"),
        ("below_half", below_half, "articles may be sold for less than half their price"),
    ] {
        if !falls.is_empty() {
            warnings.push(warning(code, detail.to_owned(), falls, currency));
        }
    }
    warnings
}

/// What is to be known of the goods that a promotion gives.
pub(super) struct Given<'a> {
    pub sku: &'a str,
    /// Whether they are sold.
    pub sold: bool,
    /// How many there are; `None` where nobody counts, or more can be had.
    pub available: Option<i64>,
    /// What a piece costs, and what it has cost the merchant, in the channels and currencies where it has a price.
    pub prices: Vec<(PricePer, Option<PricePer>)>,
}

/// The warnings about the goods that a promotion gives.
pub(super) fn gift_warnings(given: &Given<'_>, quantity: i64) -> Vec<Warning> {
    let told = |code: &str, detail: &str, examples: Vec<Example>| Warning {
        code: code.to_owned(),
        detail: format!("{}: {detail}", given.sku),
        promotion_id: None,
        articles: 1,
        examples,
    };
    if !given.sold {
        return vec![told("gift_not_sold", "what it gives is not sold, so nobody gets it", Vec::new())];
    }
    let mut warnings = Vec::new();
    if given.available.is_some_and(|available| available < quantity) {
        warnings.push(told("gift_no_stock", "what it gives is not in stock, so nobody gets it", Vec::new()));
    }
    if given.prices.is_empty() {
        warnings.push(told("gift_no_price", "what it gives has no price, so nobody gets it", Vec::new()));
    }
    let money = |price: PricePer| {
        let currency = price.currency();
        Money::from_minor(currency.round(piece(price), Rounding::HalfUp).unwrap_or_default(), currency)
    };
    let loss = |(price, cost): &(PricePer, Option<PricePer>)| {
        let lowest = Money::from_minor(0, price.currency());
        let cost = cost.filter(|cost| cost.price.scaled() > 0).map(money)?;
        Some(Example { sku: given.sku.to_owned(), price: money(*price), lowest, cost: Some(cost) })
    };
    let losses: Vec<Example> = given.prices.iter().filter_map(loss).take(EXAMPLES).collect();
    if !losses.is_empty() {
        warnings.push(told("below_cost", "what it gives has cost something", losses));
    }
    warnings
}

/// What a piece costs.
fn piece(price: PricePer) -> Decimal {
    price.about(Quantity::ONE)
}

fn warning(code: &str, detail: String, mut falls: Vec<Fall<'_>>, currency: Currency) -> Warning {
    let part = |fall: &Fall<'_>| fall.lowest.checked_div(piece(fall.article.line.price)).unwrap_or_default();
    falls.sort_by_key(part);
    let money =
        |amount: Decimal| Money::from_minor(currency.round(amount, Rounding::HalfUp).unwrap_or_default(), currency);
    let example = |fall: &Fall<'_>| Example {
        sku: fall.article.line.sku.to_owned(),
        price: money(piece(fall.article.line.price)),
        lowest: money(fall.lowest),
        cost: fall.article.cost.map(|cost| money(piece(cost))),
    };
    let articles = i64::try_from(falls.len()).unwrap_or(i64::MAX);
    let examples = falls.iter().take(EXAMPLES).map(example).collect();
    Warning { code: code.to_owned(), detail, promotion_id: None, articles, examples }
}

/// When a promotion is over at the latest.
pub(super) fn ends(promotion: &Promotion) -> Option<Instant> {
    let hours = promotion.rule.conditions.first_hours.zip(promotion.valid_from);
    let first_hours = hours.map(|(hours, from)| from.plus_seconds(3_600 * i64::from(hours)));
    promotion.valid_until.into_iter().chain(first_hours).min()
}

/// Whether two promotions can reduce the same line, or the same shipping, at the same time.
pub(super) fn goes_with(own: &Promotion, other: &Promotion) -> bool {
    let (a, b) = (&own.rule.stacking, &other.rule.stacking);
    let apart =
        |until: Option<Instant>, from: Option<Instant>| until.zip(from).is_some_and(|(until, from)| until <= from);
    let currencies = own.rule.currency().zip(other.rule.currency());
    other.id != own.id
        && other.state == PromotionState::Active
        && other.rule.gift.is_on_shipping() == own.rule.gift.is_on_shipping()
        && other.rule.gift.goods().is_none()
        && own.rule.gift.goods().is_none()
        && a.combinable
        && b.combinable
        && (a.group.is_none() || a.group != b.group)
        && own.channel.zip(other.channel).is_none_or(|(own, other)| own == other)
        && currencies.is_none_or(|(own, other)| own == other)
        && same_buyer(own, other)
        && !apart(ends(own), other.valid_from)
        && !apart(ends(other), own.valid_from)
}

/// Whether there can be a cart that is for both: one customer is of one group and buys for one company on one device, it goes to one
/// country, and one method pays. In segments somebody may be in several.
fn same_buyer(own: &Promotion, other: &Promotion) -> bool {
    fn meet<T: PartialEq>(own: &[T], other: &[T]) -> bool {
        own.is_empty() || other.is_empty() || own.iter().any(|one| other.contains(one))
    }
    let (a, b) = (&own.rule.conditions, &other.rule.conditions);
    meet(&a.customer_groups, &b.customer_groups)
        && meet(&a.companies, &b.companies)
        && meet(&a.payment_methods, &b.payment_methods)
        && meet(&a.countries, &b.countries)
        && meet(&a.devices, &b.devices)
}

/// What a promotion leaves of an article at the least.
fn floor_of(promotion: &Promotion, article: &Article<'_>) -> Decimal {
    let stacking = &promotion.rule.stacking;
    let share = stacking.floor.map_or(Decimal::ZERO, |floor| of(floor, piece(article.line.price)));
    let cost = article.cost.filter(|_| stacking.not_below_cost).map_or(Decimal::ZERO, piece);
    share.max(cost)
}

fn of(percent: Percent, price: Decimal) -> Decimal {
    percent.value().checked_mul(Decimal::new(1, 2)).and_then(|part| part.checked_mul(price)).unwrap_or_default()
}

/// What a piece of an article, of whose price so much is left, costs at the least when a promotion applies at its best: bought alone,
/// as many pieces as it takes; of what is given for several pieces, on the average of these.
fn after(ready: &Compiled, article: &Article<'_>, left: Decimal, dearest: Option<&Dearest>) -> Decimal {
    let rule = &ready.promotion.rule;
    let pieces = rule.conditions.min_quantity.unwrap_or(1);
    // What the cart must be worth is other goods, unless these bear their part of what is taken off.
    let all_goods = rule.conditions.goods == Selection::default();
    let least = rule.conditions.min_value.filter(|_| all_goods).map_or(Decimal::ZERO, Money::decimal);
    let of_off = |off: Off, (worth, pieces): (Decimal, i64)| match off {
        Off::Percent(percent) => of(percent, left),
        Off::Amount(amount) => share(amount, left, (worth, pieces)),
    };
    let off = match &rule.gift {
        Gift::Percentage { percent, .. } => of(*percent, left),
        Gift::AmountEach { amount } | Gift::Amount { amount, on: Target::Lines } => amount.decimal(),
        Gift::Amount { amount, on: Target::Order } => share(*amount, left, (least, pieces)),
        Gift::FixedPrice { price } => left - price.decimal().min(left),
        Gift::SpendTiers { tiers } => {
            let offs = tiers.iter().map(|tier| of_off(tier.off, (least.max(tier.from.decimal()), pieces)));
            offs.max().unwrap_or_default()
        }
        Gift::QuantityTiers { tiers } => {
            let offs = tiers.iter().map(|tier| of_off(tier.off, (least, pieces.max(tier.from))));
            offs.max().unwrap_or_default()
        }
        // The others are paid whole.
        Gift::BuyGet { percent, of: Some(_), .. } => of(*percent, left),
        Gift::BuyGet { buy, get, percent, of: None, .. } => {
            let part = Decimal::from(*get).checked_div(Decimal::from(buy + get)).unwrap_or_default();
            of(*percent, left).checked_mul(part).unwrap_or_default()
        }
        Gift::Bundle { .. } => {
            let price = dearest.and_then(|dearest| dearest.in_bundle(ready, article));
            left - price.unwrap_or(left).min(left)
        }
        Gift::Amount { on: Target::Shipping, .. } | Gift::FixedShipping { .. } | Gift::Goods { .. } => Decimal::ZERO,
    };
    (left - off).max(Decimal::ZERO)
}

/// What an amount off the goods together takes off a piece that costs so much: of so many pieces, and of goods that are worth so much
/// at the least.
fn share(amount: Money, price: Decimal, (worth, pieces): (Decimal, i64)) -> Decimal {
    let together = price.checked_mul(Decimal::from(pieces)).map(|own| own.max(worth));
    let part = together.and_then(|together| amount.decimal().checked_mul(price)?.checked_div(together));
    part.unwrap_or_default()
}

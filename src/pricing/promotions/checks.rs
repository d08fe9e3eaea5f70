//! What whoever activates a promotion should know: which others it adds up with, and how low prices may fall. Pure: articles with
//! their prices and costs go in.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;

use super::{
    compiled::{Compiled, Line},
    forms::{Example, Warning},
    model::{Gift, Off, Percent, Promotion, PromotionState, Target},
};
use crate::kernel::{Currency, Money, PricePer, Quantity, Rounding, ids::PromotionId};

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

/// The warnings about a promotion, among those that are active beside it, in one currency.
pub(super) fn warnings(
    ready: &Compiled,
    others: &[Compiled],
    articles: &[Article<'_>],
    currency: Currency,
) -> Vec<Warning> {
    let own: Vec<&Article<'_>> = articles.iter().filter(|article| ready.is_for(&article.line)).collect();
    if own.is_empty() && !ready.promotion.rule.gift.is_on_shipping() {
        let detail = "none of the articles that were looked at are goods that it is for".to_owned();
        return vec![Warning {
            code: "no_goods".into(),
            detail,
            promotion_id: None,
            articles: 0,
            examples: Vec::new(),
        }];
    }
    let beside: Vec<&Compiled> = others.iter().filter(|other| goes_with(&ready.promotion, &other.promotion)).collect();
    let mut overlaps: BTreeMap<PromotionId, Vec<Fall<'_>>> = BTreeMap::new();
    let (mut free, mut below_cost, mut below_half) = (Vec::new(), Vec::new(), Vec::new());
    for article in own {
        let price = piece(article.line.price);
        let mut lowest = after(&ready.promotion, price);
        let mut shared = Vec::new();
        for other in beside.iter().filter(|other| other.is_for(&article.line)) {
            lowest = after(&other.promotion, lowest);
            shared.push(other.promotion.id);
        }
        let floor = std::iter::once(&ready.promotion)
            .chain(beside.iter().filter(|other| other.is_for(&article.line)).map(|other| &other.promotion))
            .map(|promotion| floor_of(promotion, article))
            .max();
        let lowest = lowest.max(floor.unwrap_or_default()).min(price);
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
        beside.iter().map(|other| (other.promotion.id, other.promotion.code.as_str())).collect();
    let mut warnings: Vec<Warning> = Vec::new();
    for (id, falls) in overlaps {
        let name = names.get(&id).copied().unwrap_or_default();
        let detail = format!(
            "it adds up with {name}: make them not combinable, or put them into one group, if that is not meant"
        );
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

/// Whether two promotions can reduce the same line at the same time.
fn goes_with(own: &Promotion, other: &Promotion) -> bool {
    let (a, b) = (&own.rule.stacking, &other.rule.stacking);
    let apart = |until: Option<crate::kernel::Instant>, from: Option<crate::kernel::Instant>| {
        until.zip(from).is_some_and(|(until, from)| until <= from)
    };
    let currencies = own.rule.currency().zip(other.rule.currency());
    other.id != own.id
        && other.state == PromotionState::Active
        && !other.rule.gift.is_on_shipping()
        && !own.rule.gift.is_on_shipping()
        && other.rule.gift.goods().is_none()
        && own.rule.gift.goods().is_none()
        && a.combinable
        && b.combinable
        && (a.group.is_none() || a.group != b.group)
        && own.channel.zip(other.channel).is_none_or(|(own, other)| own == other)
        && currencies.is_none_or(|(own, other)| own == other)
        && same_buyer(own, other)
        && !apart(own.valid_until, other.valid_from)
        && !apart(other.valid_until, own.valid_from)
}

/// Whether there can be a cart that is for both: one customer is of one group and buys for one company, and one method pays. In
/// segments somebody may be in several.
fn same_buyer(own: &Promotion, other: &Promotion) -> bool {
    fn meet<T: PartialEq>(own: &[T], other: &[T]) -> bool {
        own.is_empty() || other.is_empty() || own.iter().any(|one| other.contains(one))
    }
    let (a, b) = (&own.rule.conditions, &other.rule.conditions);
    meet(&a.customer_groups, &b.customer_groups)
        && meet(&a.companies, &b.companies)
        && meet(&a.payment_methods, &b.payment_methods)
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

/// What a piece of this price costs at the least on the average, when the promotion applies at its best. Amounts off the order
/// are taken for spread over more, and are left out.
fn after(promotion: &Promotion, price: Decimal) -> Decimal {
    let best = |offs: &mut dyn Iterator<Item = Off>| {
        offs.filter_map(|off| if let Off::Percent(percent) = off { Some(percent) } else { None }).max()
    };
    let off = match &promotion.rule.gift {
        Gift::Percentage { percent, .. } => of(*percent, price),
        Gift::AmountEach { amount } | Gift::Amount { amount, on: Target::Lines } => amount.decimal(),
        Gift::FixedPrice { price: fixed } => price - fixed.decimal().min(price),
        Gift::SpendTiers { tiers } => {
            best(&mut tiers.iter().map(|tier| tier.off)).map_or(Decimal::ZERO, |percent| of(percent, price))
        }
        Gift::QuantityTiers { tiers } => {
            best(&mut tiers.iter().map(|tier| tier.off)).map_or(Decimal::ZERO, |percent| of(percent, price))
        }
        Gift::BuyGet { buy, get, percent, of: None, .. } => {
            let share = Decimal::from(*get).checked_div(Decimal::from(buy + get)).unwrap_or_default();
            of(*percent, price).checked_mul(share).unwrap_or_default()
        }
        Gift::Amount { .. }
        | Gift::BuyGet { .. }
        | Gift::Bundle { .. }
        | Gift::FixedShipping { .. }
        | Gift::Goods { .. } => Decimal::ZERO,
    };
    (price - off).max(Decimal::ZERO)
}

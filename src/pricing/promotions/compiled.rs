//! Promotions as they are looked at for each cart: their goods in sets, in the order in which they go.

use std::cmp::Reverse;

use serde_json::Value;

use super::model::{Gift, Goods, Promotion, PromotionState, Selection};
use crate::kernel::{Currency, Instant, Money, PricePer, UnitPrice, ids::ChannelId, text::Text};

/// A promotion made ready.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// What it says.
    pub promotion: Promotion,
    /// The one currency of its amounts, where it names any.
    pub(super) currency: Option<Currency>,
    selection: Chosen,
    /// The goods that are reduced, where these are others than those that are bought.
    pub(super) of: Option<Set>,
    /// The goods of each item of a bundle.
    pub(super) items: Vec<Set>,
    /// Whether it is on shipping.
    pub(super) on_shipping: bool,
    /// Whether it is on the shipping of whatever goods, none included.
    pub(super) of_any_goods: bool,
}

#[derive(Debug, Clone)]
struct Chosen {
    include: Vec<Set>,
    exclude: Vec<Set>,
    least: Option<PricePer>,
    most: Option<PricePer>,
    full_price_only: bool,
}

/// Goods by sets of their SKUs and of values of their attributes.
#[derive(Debug, Clone)]
pub struct Set {
    skus: Texts,
    attributes: Vec<(String, Texts)>,
}

/// A set of texts, in their order: most sets name a few, and a few comparisons are cheaper than a hash.
#[derive(Debug, Clone)]
struct Texts(Vec<String>);

impl Texts {
    fn of(texts: &[Text<100>]) -> Self {
        let mut sorted: Vec<String> = texts.iter().map(ToString::to_string).collect();
        sorted.sort_unstable();
        Self(sorted)
    }

    fn has(&self, text: &str) -> bool {
        self.0.binary_search_by(|known| known.as_str().cmp(text)).is_ok()
    }
}

/// A line as promotions look at it.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// Its number.
    pub line_no: i32,
    /// What is sold.
    pub sku: &'a str,
    /// What else is noted about it.
    pub attributes: &'a std::collections::BTreeMap<String, Value>,
    /// What it costs by its list.
    pub price: PricePer,
    /// How many pieces.
    pub quantity: i64,
    /// What they cost together, in minor units.
    pub subtotal: i64,
    /// What they have cost the merchant together, in minor units, where that is known.
    pub cost: Option<i64>,
    /// Whether the price is that of a sale.
    pub reduced: bool,
    /// Whether the price was agreed with somebody: it is never reduced.
    pub agreed: bool,
}

impl From<&Goods> for Set {
    fn from(goods: &Goods) -> Self {
        Self {
            skus: Texts::of(&goods.skus),
            attributes: goods.attributes.iter().map(|(name, values)| (name.clone(), Texts::of(values))).collect(),
        }
    }
}

impl Set {
    pub(super) fn has(&self, line: &Line<'_>) -> bool {
        self.holds(line.sku, line.attributes)
    }

    /// Whether an article is among them.
    #[must_use]
    pub fn holds(&self, sku: &str, attributes: &std::collections::BTreeMap<String, Value>) -> bool {
        let fits = |(name, values): &(String, Texts)| match attributes.get(name) {
            Some(Value::String(text)) => values.has(text),
            Some(Value::Array(several)) => several.iter().any(|one| one.as_str().is_some_and(|text| values.has(text))),
            Some(Value::Null | Value::Object(_)) | None => false,
            Some(other) => values.has(&other.to_string()),
        };
        (self.skus.0.is_empty() || self.skus.has(sku)) && self.attributes.iter().all(fits)
    }
}

impl From<&Selection> for Chosen {
    fn from(selection: &Selection) -> Self {
        let piece = |money: Option<Money>| money.and_then(UnitPrice::of).map(PricePer::from);
        Self {
            include: selection.include.iter().map(Set::from).collect(),
            exclude: selection.exclude.iter().map(Set::from).collect(),
            least: piece(selection.min_unit_price),
            most: piece(selection.max_unit_price),
            full_price_only: selection.full_price_only,
        }
    }
}

impl Compiled {
    /// A promotion made ready.
    #[must_use]
    pub fn new(promotion: Promotion) -> Self {
        let selection = Chosen::from(&promotion.rule.conditions.goods);
        let (of, items) = match &promotion.rule.gift {
            Gift::BuyGet { of, .. } => (of.as_ref().map(Set::from), Vec::new()),
            Gift::Bundle { items, .. } => (None, items.iter().map(|item| Set::from(&item.goods)).collect()),
            _ => (None, Vec::new()),
        };
        let on_shipping = promotion.rule.gift.is_on_shipping();
        let of_any_goods = on_shipping && promotion.rule.conditions.goods == Selection::default();
        Self { currency: promotion.rule.currency(), promotion, selection, of, items, on_shipping, of_any_goods }
    }

    /// Promotions in the order in which they go: the higher priority first, then by their codes.
    #[must_use]
    pub fn in_order(promotions: Vec<Promotion>) -> Vec<Self> {
        Self::ranked(promotions.into_iter().map(Self::new).collect())
    }

    /// The same of such that are ready.
    #[must_use]
    pub(super) fn ranked(mut ready: Vec<Self>) -> Vec<Self> {
        ready.sort_by(|a, b| a.rank().cmp(&b.rank()));
        ready
    }

    /// Whether it may be for an article, whatever that costs.
    #[must_use]
    pub fn concerns(&self, sku: &str, attributes: &std::collections::BTreeMap<String, Value>) -> bool {
        let Chosen { include, exclude, .. } = &self.selection;
        (include.is_empty() || include.iter().any(|goods| goods.holds(sku, attributes)))
            && !exclude.iter().any(|goods| goods.holds(sku, attributes))
    }

    fn rank(&self) -> (Reverse<i32>, &str) {
        (Reverse(self.promotion.priority), &self.promotion.code)
    }

    /// Whether carts of a channel can get it at an instant.
    #[must_use]
    pub fn is_going_on(&self, channel: ChannelId, at: Instant) -> bool {
        let Promotion { state, valid_from, valid_until, .. } = &self.promotion;
        *state == PromotionState::Active
            && self.promotion.channel.is_none_or(|own| own == channel)
            && valid_from.is_none_or(|from| from <= at)
            && valid_until.is_none_or(|until| at < until)
    }

    /// Whether it is for a line.
    pub(super) fn is_for(&self, line: &Line<'_>) -> bool {
        let Chosen { include, exclude, least, most, full_price_only } = &self.selection;
        let unknown_cost = line.cost.is_none() && self.promotion.rule.stacking.not_below_cost;
        if line.agreed || unknown_cost || (*full_price_only && line.reduced) {
            return false;
        }
        least.is_none_or(|least| line.price.by_piece(least).is_ge())
            && most.is_none_or(|most| line.price.by_piece(most).is_le())
            && (include.is_empty() || include.iter().any(|goods| goods.has(line)))
            && !exclude.iter().any(|goods| goods.has(line))
    }
}

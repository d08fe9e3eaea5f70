//! Promotions as they are looked at for each cart: their goods in sets, in the order in which they go.

use std::{cmp::Reverse, collections::HashSet};

use serde_json::Value;

use super::model::{Gift, Goods, Promotion, Selection};
use crate::kernel::{Currency, Money, UnitPrice, text::Text};

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
}

#[derive(Debug, Clone)]
struct Chosen {
    include: Vec<Set>,
    exclude: Vec<Set>,
    least: Option<i64>,
    most: Option<i64>,
    full_price_only: bool,
}

/// Goods by sets of their SKUs and of values of their attributes.
#[derive(Debug, Clone)]
pub struct Set {
    skus: HashSet<String>,
    attributes: Vec<(String, HashSet<String>)>,
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
    /// What a piece costs by its list.
    pub unit_price: UnitPrice,
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
        let owned = |texts: &[Text<100>]| texts.iter().map(ToString::to_string).collect();
        Self {
            skus: owned(&goods.skus),
            attributes: goods.attributes.iter().map(|(name, values)| (name.clone(), owned(values))).collect(),
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
        let fits = |(name, values): &(String, HashSet<String>)| match attributes.get(name) {
            Some(Value::String(text)) => values.contains(text.as_str()),
            Some(Value::Array(several)) => {
                several.iter().any(|one| one.as_str().is_some_and(|text| values.contains(text)))
            }
            Some(Value::Null | Value::Object(_)) | None => false,
            Some(other) => values.contains(&other.to_string()),
        };
        (self.skus.is_empty() || self.skus.contains(sku)) && self.attributes.iter().all(fits)
    }
}

impl From<&Selection> for Chosen {
    fn from(selection: &Selection) -> Self {
        let scaled = |money: Option<Money>| money.and_then(UnitPrice::of).map(UnitPrice::scaled);
        Self {
            include: selection.include.iter().map(Set::from).collect(),
            exclude: selection.exclude.iter().map(Set::from).collect(),
            least: scaled(selection.min_unit_price),
            most: scaled(selection.max_unit_price),
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
        Self { currency: promotion.rule.currency(), promotion, selection, of, items }
    }

    /// Promotions in the order in which they go: the higher priority first, then by their codes.
    #[must_use]
    pub fn in_order(promotions: Vec<Promotion>) -> Vec<Self> {
        let mut ready: Vec<Self> = promotions.into_iter().map(Self::new).collect();
        ready.sort_by(|a, b| a.rank().cmp(&b.rank()));
        ready
    }

    fn rank(&self) -> (Reverse<i32>, &str) {
        (Reverse(self.promotion.priority), &self.promotion.code)
    }

    /// Whether it is for a line.
    pub(super) fn is_for(&self, line: &Line<'_>) -> bool {
        let Chosen { include, exclude, least, most, full_price_only } = &self.selection;
        let unknown_cost = line.cost.is_none() && self.promotion.rule.stacking.not_below_cost;
        if line.agreed || unknown_cost || (*full_price_only && line.reduced) {
            return false;
        }
        least.is_none_or(|least| line.unit_price.scaled() >= least)
            && most.is_none_or(|most| line.unit_price.scaled() <= most)
            && (include.is_empty() || include.iter().any(|goods| goods.has(line)))
            && !exclude.iter().any(|goods| goods.has(line))
    }
}

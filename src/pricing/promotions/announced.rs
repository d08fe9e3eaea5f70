//! Promotions that are announced to everybody as a reduction of goods that they name: whoever sees the shop sees the goods reduced, as
//! with a price list of the kind `sale`. Pure.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashMap},
};

use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    compiled::{Compiled, Line},
    conditions::Basket,
    evaluate::{Detail, Evaluation},
    model::{Conditions, Gift, Promotion, PromotionState, Rule, Target},
};
use crate::{
    kernel::{
        Country, Currency, Device, Instant, PricePer, Quantity, Rounding, UnitPrice,
        ids::{ChannelId, PromotionId},
    },
    pricing::model::Buyer,
};

impl Rule {
    /// Whether everybody gets it who sees the goods, for a single piece: it asks for nothing but the goods, and takes per cent, an
    /// amount or all above a fixed price off each.
    #[must_use]
    pub fn is_for_everybody(&self) -> bool {
        // Its first hours, where it goes, and what its goods are, are known to whoever looks.
        let Conditions {
            coupon,
            first_hours: _,
            devices,
            countries: _,
            customer_groups,
            segments,
            companies,
            first_order,
            min_value,
            max_value,
            min_quantity,
            payment_methods,
            origins,
            goods: _,
        } = &self.conditions;
        let of_some = *coupon || *first_order || !companies.is_empty();
        let of_some = of_some || !customer_groups.is_empty() || !segments.is_empty();
        let at_some = !devices.is_empty() || !payment_methods.is_empty() || !origins.is_empty();
        let for_much = min_value.is_some() || max_value.is_some() || min_quantity.is_some_and(|least| least > 1);
        !(of_some || at_some || for_much) && self.takes_off(Decimal::ONE).is_some()
    }

    /// What it takes off a piece of this price; `None` where what it gives is not told of a piece.
    fn takes_off(&self, piece: Decimal) -> Option<Decimal> {
        match &self.gift {
            Gift::Percentage { percent, on: Target::Lines | Target::Order } => {
                percent.value().checked_mul(Decimal::new(1, 2))?.checked_mul(piece)
            }
            Gift::AmountEach { amount } | Gift::Amount { amount, on: Target::Lines } => Some(amount.decimal()),
            Gift::FixedPrice { price } => Some((piece - price.decimal()).max(Decimal::ZERO)),
            _ => None,
        }
    }
}

impl Compiled {
    /// Whether it is announced in a channel and a currency at an instant: everybody gets it, and it names its goods.
    #[must_use]
    pub fn is_announced(&self, (channel, currency): (ChannelId, Currency), at: Instant) -> bool {
        let rule = &self.promotion.rule;
        !rule.conditions.goods.include.is_empty()
            && rule.is_for_everybody()
            && self.currency.is_none_or(|own| own == currency)
            && self.is_going_on(channel, at)
            && super::checks::ends(&self.promotion).is_none_or(|until| at < until)
    }

    /// What a piece of an article costs by it; `None` where it is not for the article, or takes nothing off.
    #[must_use]
    pub fn announces(&self, line: &Line<'_>) -> Option<PricePer> {
        if !self.is_for(line) {
            return None;
        }
        let piece = line.price.about(Quantity::ONE);
        let reduced = (piece - self.promotion.rule.takes_off(piece)?).max(Decimal::ZERO);
        let price: PricePer = UnitPrice::rounded(reduced, line.price.currency())?.into();
        price.by_piece(line.price).is_lt().then_some(price)
    }

    /// What a promotion that everybody got was from one instant to another, made ready to be looked at as of then: valid just in
    /// that time, without limits, and wherever it goes. `None` where it never went on in that time, or not for everybody.
    #[must_use]
    pub(in crate::pricing) fn as_run(mut promotion: Promotion, from: Instant, until: Option<Instant>) -> Option<Self> {
        if !promotion.rule.is_for_everybody() {
            return None;
        }
        let until = super::checks::ends(&promotion).into_iter().chain(until).min();
        let from = promotion.valid_from.map_or(from, |own| own.max(from));
        if until.is_some_and(|until| until <= from) {
            return None;
        }
        let conditions = &mut promotion.rule.conditions;
        (conditions.first_hours, conditions.min_quantity) = (None, None);
        conditions.countries.clear();
        promotion.rule.limits = Default::default();
        // The amount off a line of one piece is one off the piece.
        if let Gift::Amount { amount, on: Target::Lines } = promotion.rule.gift {
            promotion.rule.gift = Gift::AmountEach { amount };
        }
        (promotion.state, promotion.valid_from, promotion.valid_until) = (PromotionState::Active, Some(from), until);
        Some(Self::new(promotion))
    }
}

/// Since when a promotion has made an article as cheap as it does now, or cheaper step by step, without a break; by its runs. `None`
/// where it does not go on.
#[must_use]
pub fn began<P: Borrow<Compiled>>(runs: &[P], id: PromotionId, line: &Line<'_>, at: Instant) -> Option<Instant> {
    let mut own: Vec<&Promotion> = Vec::new();
    let mut made: Vec<Option<PricePer>> = Vec::new();
    let mut of_it: Vec<&Compiled> = runs.iter().map(Borrow::borrow).filter(|run| run.promotion.id == id).collect();
    of_it.retain(|run| run.promotion.valid_from.is_some_and(|from| from <= at));
    of_it.sort_by_key(|run| run.promotion.valid_from);
    for run in of_it {
        own.push(&run.promotion);
        made.push(run.announces(line));
    }
    let last = own.last().filter(|last| last.valid_until.is_none_or(|until| at < until))?;
    let goes_on = |place: usize| {
        let (earlier, later) = (own.get(place)?, own.get(place + 1)?);
        let (was, is) = ((*made.get(place)?)?, (*made.get(place + 1)?)?);
        (earlier.valid_until == later.valid_from && is.by_piece(was).is_le()).then_some(earlier.valid_from?)
    };
    let steps = (0..own.len().saturating_sub(1)).rev().map_while(goes_on);
    steps.last().or(last.valid_from)
}

/// What is known of an article where promotions are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Described<'a> {
    /// Its SKU.
    pub sku: &'a str,
    /// What else is noted about it.
    pub attributes: &'a BTreeMap<String, Value>,
}

/// The price of a single piece before promotions.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    /// By its list.
    pub price: PricePer,
    /// What it has cost the merchant, where that is known.
    pub cost: Option<PricePer>,
    /// Whether the price is that of a sale.
    pub reduced: bool,
}

/// What everybody paid for a single piece at an instant: its price by the list, reduced by all runs of promotions that went on then,
/// as a cart with nothing else in it is. `None` where none reduced it. `runs` are in the order in which promotions go.
#[must_use]
pub fn reduced_by<'a>(
    runs: &[&'a Compiled],
    article: Described<'a>,
    listed: Listed,
    (channel, at, rounding): (ChannelId, Instant, Rounding),
) -> Option<PricePer> {
    let currency = listed.price.currency();
    let pieces = pieces(listed.price)?;
    let subtotal = listed.price.amount(pieces, rounding)?;
    let line = Line {
        line_no: 1,
        sku: article.sku,
        attributes: article.attributes,
        price: listed.price,
        quantity: pieces.get(),
        subtotal,
        cost: listed.cost.and_then(|cost| cost.amount(pieces, rounding)),
        reduced: listed.reduced,
        agreed: false,
    };
    let left = HashMap::new();
    let basket = Basket {
        channel,
        currency,
        rounding,
        at,
        country: Country::DEFAULT,
        device: Device::Desktop,
        buyer: Buyer::ANYBODY,
        origin: None,
        payment_method: None,
        coupons: &[],
        left: &left,
        lines: vec![line],
        gifts: HashMap::new(),
        with_drafts: false,
    };
    let mut evaluation = Evaluation::new(runs, &basket, Detail::InQuestion);
    evaluation.goods();
    let left = evaluation.goods_value();
    if left >= subtotal {
        return None;
    }
    // What so many pieces cost, told for as many as the price is for.
    let scale = i128::from(10i64.pow(UnitPrice::EXTRA_DIGITS)) * i128::from(listed.price.per.get());
    let scaled = i64::try_from(i128::from(left) * scale / i128::from(pieces.get())).ok()?;
    Some(PricePer::from_scaled(scaled, currency, listed.price.per))
}

/// How many pieces are looked at: one, as it is charged, where it costs whole minor units; else so many that nothing is rounded that
/// matters.
fn pieces(price: PricePer) -> Option<Quantity> {
    if price.per.get() == 1 && price.is_whole(Quantity::ONE) {
        return Some(Quantity::ONE);
    }
    let per = price.per.get();
    let times = (Quantity::MAX / per).clamp(1, 10_000);
    Quantity::new(per * times).ok()
}

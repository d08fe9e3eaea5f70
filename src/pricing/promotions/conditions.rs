//! Whether a promotion is in question for a cart: the first condition that does not hold.

use std::collections::HashMap;

use super::{
    compiled::{Compiled, Line},
    model::{Origin, Promotion, PromotionState},
};
use crate::{
    kernel::{
        Country, Currency, Device, Instant, Money, Rounding,
        ids::{ChannelId, PromotionId},
    },
    pricing::model::{Buyer, Step},
};

/// A coupon that is on the cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// The code.
    pub code: String,
    /// What it is a coupon of.
    pub promotion: PromotionId,
    /// Why it does not count, if it does not.
    pub refused: Option<Step>,
}

/// How much of a promotion is left for a cart; what is not limited has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Orders.
    pub uses: i64,
    /// Orders of this customer.
    pub of_customer: i64,
    /// Reduced pieces.
    pub units: i64,
    /// What may be taken off, in minor units.
    pub budget: i64,
}

impl Left {
    /// All there is.
    pub const ENDLESS: Self = Self { uses: i64::MAX, of_customer: i64::MAX, units: i64::MAX, budget: i64::MAX };
}

/// A cart as promotions look at it.
#[derive(Debug, Clone)]
pub struct Basket<'a> {
    /// Where.
    pub channel: ChannelId,
    /// The currency of everything.
    pub currency: Currency,
    /// How a fraction of a minor unit is decided about.
    pub rounding: Rounding,
    /// When.
    pub at: Instant,
    /// Where it goes.
    pub country: Country,
    /// What the storefront runs on.
    pub device: Device,
    /// Who buys.
    pub buyer: &'a Buyer,
    /// Where they come from.
    pub origin: Option<&'a Origin>,
    /// The coupons on it.
    pub coupons: &'a [Redeemed],
    /// What is left of promotions that are limited. One that is absent has not been used yet.
    pub left: &'a HashMap<PromotionId, Left>,
    /// The lines that have a price.
    pub lines: Vec<Line<'a>>,
    /// Whether drafts are looked at as if they were active.
    pub with_drafts: bool,
}

impl Basket<'_> {
    /// What is left of a promotion.
    pub(super) fn left_of(&self, promotion: &Promotion) -> Left {
        let limits = &promotion.rule.limits;
        self.left.get(&promotion.id).copied().unwrap_or(Left {
            uses: limits.uses.unwrap_or(i64::MAX),
            of_customer: promotion.uses_per_customer().unwrap_or(i64::MAX),
            units: limits.units.unwrap_or(i64::MAX),
            budget: limits.budget.map_or(i64::MAX, Money::minor),
        })
    }

    fn value(&self) -> i64 {
        self.lines.iter().map(|line| line.subtotal).fold(0, i64::saturating_add)
    }

    /// The coupon of a promotion that counts; else the reason why none does.
    pub(super) fn coupon_of(&self, promotion: PromotionId) -> Result<Option<&Redeemed>, Step> {
        let mut own = self.coupons.iter().filter(|coupon| coupon.promotion == promotion);
        let good = own.clone().find(|coupon| coupon.refused.is_none());
        match (good, own.find_map(|coupon| coupon.refused.clone())) {
            (None, Some(refused)) => Err(refused),
            (good, _) => Ok(good),
        }
    }
}

/// A reason that has nothing to do with what is in the cart: whether it is told is a matter of how much is to be told.
pub(super) const OUT_OF_QUESTION: &[&str] =
    &["not_active", "other_channel", "not_yet_valid", "no_longer_valid", "other_currency", "coupon_missing"];

/// The reasons that say that a promotion, or a coupon of it, is used up, for all or for the customer.
pub const EXHAUSTED: &[&str] =
    &["used_up", "used_by_customer", "units_used_up", "budget_used_up", "coupon_used_up", "first_order"];

fn no<T>(code: &str, text: impl Into<String>) -> Result<T, Step> {
    Err(Step::new(code, text))
}

/// Whether a promotion is for this cart at all, whatever is in it: where, when, with which coupon.
pub(super) fn in_question(ready: &Compiled, basket: &Basket<'_>) -> Result<(), Step> {
    let promotion = &ready.promotion;
    match promotion.state {
        PromotionState::Active => {}
        PromotionState::Draft | PromotionState::Paused if basket.with_drafts => {}
        state => return no("not_active", format!("it is {state}")),
    }
    if promotion.channel.is_some_and(|channel| channel != basket.channel) {
        return no("other_channel", "it is for another channel");
    }
    if promotion.valid_from.is_some_and(|from| basket.at < from) {
        return no("not_yet_valid", "it has not begun");
    }
    if promotion.valid_until.is_some_and(|until| basket.at >= until) {
        return no("no_longer_valid", "it is over");
    }
    let conditions = &promotion.rule.conditions;
    if let (Some(hours), Some(from)) = (conditions.first_hours, promotion.valid_from)
        && basket.at >= from.plus_seconds(3600 * i64::from(hours))
    {
        return no("no_longer_valid", format!("it was for its first {hours} hours"));
    }
    if ready.currency.is_some_and(|currency| currency != basket.currency) {
        return no("other_currency", "it is for another currency");
    }
    if conditions.coupon && basket.coupon_of(promotion.id)?.is_none() {
        return no("coupon_missing", "it needs a coupon");
    }
    Ok(())
}

/// Whether the cart and its customer fulfil a promotion's conditions. `goods` are the lines that it is for.
pub(super) fn fulfilled(ready: &Compiled, basket: &Basket<'_>, goods: &[usize]) -> Result<(), Step> {
    let promotion = &ready.promotion;
    let conditions = &promotion.rule.conditions;
    let money = |minor| Money::from_minor(minor, basket.currency);
    if !conditions.devices.is_empty() && !conditions.devices.contains(&basket.device) {
        return no("device", format!("it is not for {}", basket.device));
    }
    if !conditions.countries.is_empty() && !conditions.countries.contains(&basket.country) {
        return no("country", format!("it is not for deliveries to {}", basket.country));
    }
    if !conditions.customer_groups.is_empty() {
        let group = basket.buyer.group.as_deref();
        if !group.is_some_and(|group| conditions.customer_groups.iter().any(|named| **named == *group)) {
            return no("customer_group", "the customer is not of a group that it is for");
        }
    }
    if conditions.first_order && !basket.buyer.first_order {
        return no("first_order", "the customer has ordered before");
    }
    if !conditions.origins.is_empty()
        && !basket.origin.is_some_and(|from| conditions.origins.iter().any(|o| o.is(from)))
    {
        return no("origin", "the visitor comes from elsewhere");
    }
    if let Some(least) = conditions.min_value.filter(|least| basket.value() < least.minor()) {
        let missing = money(least.minor() - basket.value());
        return no("min_value", format!("the goods cost less than {least}: {missing} are missing"));
    }
    if let Some(most) = conditions.max_value.filter(|most| basket.value() > most.minor()) {
        return no("max_value", format!("the goods cost more than {most}"));
    }
    let left = basket.left_of(promotion);
    match left {
        Left { uses: ..=0, .. } => return no("used_up", "all its uses are taken"),
        Left { of_customer: ..=0, .. } => {
            return no("used_by_customer", "the customer has had it as often as they may");
        }
        Left { units: ..=0, .. } => return no("units_used_up", "all its pieces are taken"),
        Left { budget: ..=0, .. } => return no("budget_used_up", "its budget is used up"),
        _ => {}
    }
    let of_any_goods = promotion.rule.gift.is_on_shipping() && conditions.goods == super::model::Selection::default();
    if goods.is_empty() && !of_any_goods {
        return no("goods", "none of the goods that it is for are in the cart");
    }
    let pieces: i64 = goods.iter().filter_map(|at| basket.lines.get(*at)).map(|line| line.quantity).sum();
    if let Some(least) = conditions.min_quantity.filter(|least| pieces < *least) {
        return no("min_quantity", format!("it is for {least} pieces or more, and there are {pieces}"));
    }
    Ok(())
}

impl Origin {
    /// Whether somebody comes from here: what is named is the same.
    fn is(&self, from: &Self) -> bool {
        fn same<T: PartialEq>(named: Option<&T>, found: Option<&T>) -> bool {
            named.is_none() || named == found
        }
        same(self.utm_source.as_ref(), from.utm_source.as_ref())
            && same(self.utm_medium.as_ref(), from.utm_medium.as_ref())
            && same(self.utm_campaign.as_ref(), from.utm_campaign.as_ref())
            && same(self.affiliate.as_ref(), from.affiliate.as_ref())
    }
}

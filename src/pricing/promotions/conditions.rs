//! Whether a promotion is in question for a cart: the first condition that does not hold.

use std::{borrow::Cow, collections::HashMap};

use super::{
    compiled::{Compiled, Line},
    model::{Conditions, Origin, Promotion, PromotionState},
};
use crate::{
    kernel::{
        Country, Currency, Device, Instant, Money, PricePer, Quantity, Rounding,
        ids::{ChannelId, PromotionId, VariantId},
    },
    pricing::{
        engine,
        model::{Buyer, Step},
    },
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
    /// The payment method that is chosen.
    pub payment_method: Option<&'a str>,
    /// The coupons on it.
    pub coupons: &'a [Redeemed],
    /// What is left of promotions that are limited. One that is absent has not been used yet.
    pub left: &'a HashMap<PromotionId, Left>,
    /// The lines that have a price.
    pub lines: Vec<Line<'a>>,
    /// The lines that promotions may give, or why they can not. Promotions do not look at them.
    pub gifts: HashMap<PromotionId, Result<Giveable, Step>>,
    /// Whether drafts are looked at as if they were active.
    pub with_drafts: bool,
}

/// A line that a promotion may give: as many pieces as are earned, as far as other promotions leave some.
#[derive(Debug, Clone, PartialEq)]
pub struct Giveable {
    /// Its number.
    pub line_no: i32,
    /// What.
    pub variant: VariantId,
    /// How many pieces there are beside what the lines take; of what nobody counts, no end.
    pub available: i64,
    /// What a piece costs from so many on, the fewest first; else why that can not be told.
    pub prices: Vec<(Quantity, Result<PricePer, Step>)>,
}

impl Giveable {
    /// So many pieces, with what they would cost.
    ///
    /// # Errors
    /// Why they can not be given.
    pub(super) fn line(&self, pieces: i64, rounding: Rounding) -> Result<GiftLine, Step> {
        let quantity =
            Quantity::new(pieces).map_err(|_| Step::new("gift_too_many", "there would be too many pieces of it"))?;
        let unpriced = |detail: String| Step::new("gift_not_priced", detail);
        let price = self.prices.iter().rev().find(|(from, _)| *from <= quantity).map(|(_, price)| price.clone());
        let price = price.unwrap_or_else(|| Err(unpriced("there is no price for so many of it".to_owned())))?;
        let value = engine::line_amount(price, quantity, rounding).map_err(|error| unpriced(error.to_string()))?;
        Ok(GiftLine { line_no: self.line_no, variant: self.variant, pieces, value })
    }
}

/// A line that a promotion gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GiftLine {
    /// Its number.
    pub line_no: i32,
    /// What.
    pub variant: VariantId,
    /// How many pieces.
    pub pieces: i64,
    /// What they would cost together, in minor units.
    pub value: i64,
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

    /// What all goods cost together before promotions, in minor units.
    pub(super) fn value(&self) -> i64 {
        self.lines.iter().map(|line| line.subtotal).fold(0, i64::saturating_add)
    }

    /// The coupon of a promotion that counts; else the reason why none does.
    pub(super) fn coupon_of(&self, promotion: PromotionId) -> Result<Option<&Redeemed>, Refusal> {
        let mut own = self.coupons.iter().filter(|coupon| coupon.promotion == promotion);
        let good = own.clone().find(|coupon| coupon.refused.is_none());
        match (good, own.find_map(|coupon| coupon.refused.clone())) {
            (None, Some(refused)) => Err(refused.into()),
            (good, _) => Ok(good),
        }
    }
}

/// A reason that has nothing to do with what is in the cart: whether it is told is a matter of how much is to be told.
pub(super) const OUT_OF_QUESTION: &[&str] =
    &["not_active", "other_channel", "not_yet_valid", "no_longer_valid", "other_currency", "coupon_missing"];

/// The reasons that say that a promotion, or a coupon of it, is used up, for all or for the customer.
pub const EXHAUSTED: &[&str] =
    &["used_up", "used_by_customer", "units_used_up", "budget_used_up", "coupon_used_up", "first_order", OUT_OF_STOCK];

/// The reason that says that the goods which a promotion gives can not be had.
pub(super) const OUT_OF_STOCK: &str = "gift_out_of_stock";

/// Why a promotion does not apply. Of hundreds a score are told: the text is written only then.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    code: Cow<'static, str>,
    why: Why,
}

/// The text of a refusal before it is written.
#[derive(Debug, Clone)]
pub(super) enum Why {
    /// As it is.
    Text(Cow<'static, str>),
    /// The state that the promotion is in.
    State(PromotionState),
    /// So many hours that it was for.
    FirstHours(u32),
    /// A device that it is not for.
    Device(Device),
    /// A country that it is not for.
    Country(Country),
    /// The least value, and what is missing to it.
    TooLittle { least: Money, missing: Money },
    /// The greatest value.
    TooMuch(Money),
    /// The fewest pieces, and how many there are.
    TooFew { least: i64, pieces: i64 },
}

impl Refusal {
    /// Its stable word.
    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// As it is told.
    pub(super) fn told(self) -> Step {
        let text = match self.why {
            Why::Text(text) => text.into_owned(),
            Why::State(state) => format!("it is {state}"),
            Why::FirstHours(hours) => format!("it was for its first {hours} hours"),
            Why::Device(device) => format!("it is not for {device}"),
            Why::Country(country) => format!("it is not for deliveries to {country}"),
            Why::TooLittle { least, missing } => format!("the goods cost less than {least}: {missing} are missing"),
            Why::TooMuch(most) => format!("the goods cost more than {most}"),
            Why::TooFew { least, pieces } => format!("it is for {least} pieces or more, and there are {pieces}"),
        };
        Step { code: self.code.into_owned(), text }
    }

    /// A refusal with a text that stands.
    pub(super) const fn plain(code: &'static str, text: &'static str) -> Self {
        Self { code: Cow::Borrowed(code), why: Why::Text(Cow::Borrowed(text)) }
    }
}

impl From<Step> for Refusal {
    fn from(step: Step) -> Self {
        Self { code: Cow::Owned(step.code), why: Why::Text(Cow::Owned(step.text)) }
    }
}

impl From<&'static str> for Why {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

fn no<T>(code: &'static str, why: impl Into<Why>) -> Result<T, Refusal> {
    Err(Refusal { code: Cow::Borrowed(code), why: why.into() })
}

/// Whether a promotion is for this cart at all, whatever is in it: where, when, with which coupon.
pub(super) fn in_question(ready: &Compiled, basket: &Basket<'_>) -> Result<(), Refusal> {
    let promotion = &ready.promotion;
    match promotion.state {
        PromotionState::Active => {}
        PromotionState::Draft | PromotionState::Paused if basket.with_drafts => {}
        state => return no("not_active", Why::State(state)),
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
        return no("no_longer_valid", Why::FirstHours(hours));
    }
    if ready.currency.is_some_and(|currency| currency != basket.currency) {
        return no("other_currency", "it is for another currency");
    }
    if conditions.coupon && basket.coupon_of(promotion.id)?.is_none() {
        return no("coupon_missing", "it needs a coupon");
    }
    Ok(())
}

/// Whether the cart and its customer fulfil the conditions that do not ask for the goods that a promotion is for. These come first:
/// a cart may have a thousand lines. `value` is what all its goods cost.
pub(super) fn suited(ready: &Compiled, basket: &Basket<'_>, value: i64) -> Result<(), Refusal> {
    let promotion = &ready.promotion;
    let conditions = &promotion.rule.conditions;
    if !conditions.devices.is_empty() && !conditions.devices.contains(&basket.device) {
        return no("device", Why::Device(basket.device));
    }
    if !conditions.countries.is_empty() && !conditions.countries.contains(&basket.country) {
        return no("country", Why::Country(basket.country));
    }
    if !conditions.customer_groups.is_empty() {
        let group = basket.buyer.group.as_deref();
        if !group.is_some_and(|group| conditions.customer_groups.iter().any(|named| **named == *group)) {
            return no("customer_group", "the customer is not of a group that it is for");
        }
    }
    let segments = &basket.buyer.segments;
    if !conditions.segments.is_empty()
        && !conditions.segments.iter().any(|named| segments.iter().any(|own| **named == **own))
    {
        return no("segment", "the customer is not in a segment that it is for");
    }
    if !conditions.companies.is_empty()
        && !basket.buyer.company.is_some_and(|company| conditions.companies.contains(&company))
    {
        return no("company", "the customer does not buy for a company that it is for");
    }
    if conditions.first_order && !basket.buyer.first_order {
        return no("first_order", "the customer has ordered before");
    }
    if !conditions.origins.is_empty()
        && !basket.origin.is_some_and(|from| conditions.origins.iter().any(|o| o.is(from)))
    {
        return no("origin", "the visitor comes from elsewhere");
    }
    if let Some(least) = conditions.min_value.filter(|least| value < least.minor()) {
        let missing = Money::from_minor(least.minor() - value, basket.currency);
        return no("min_value", Why::TooLittle { least, missing });
    }
    if let Some(most) = conditions.max_value.filter(|most| value > most.minor()) {
        return no("max_value", Why::TooMuch(most));
    }
    match basket.left_of(promotion) {
        Left { uses: ..=0, .. } => no("used_up", "all its uses are taken"),
        Left { of_customer: ..=0, .. } => no("used_by_customer", "the customer has had it as often as they may"),
        Left { units: ..=0, .. } => no("units_used_up", "all its pieces are taken"),
        Left { budget: ..=0, .. } => no("budget_used_up", "its budget is used up"),
        _ => Ok(()),
    }
}

/// The places of the lines that a promotion is for and how many pieces they are, when there are enough of them.
pub(super) fn goods_for(ready: &Compiled, basket: &Basket<'_>) -> Result<(Vec<usize>, i64), Refusal> {
    let conditions = &ready.promotion.rule.conditions;
    let mut goods = Vec::new();
    let mut pieces: i64 = 0;
    for (at, line) in basket.lines.iter().enumerate().filter(|(_, line)| ready.is_for(line)) {
        goods.push(at);
        pieces = pieces.saturating_add(line.quantity);
    }
    if goods.is_empty() && !ready.of_any_goods {
        return no("goods", "none of the goods that it is for are in the cart");
    }
    match conditions.min_quantity.filter(|least| pieces < *least) {
        Some(least) => return no("min_quantity", Why::TooFew { least, pieces }),
        // Last, so that whoever is told this has but to choose another.
        None => paid_so(conditions, basket.payment_method)?,
    }
    Ok((goods, pieces))
}

/// Whether a cart is to be paid by a method that a promotion is for.
fn paid_so(conditions: &Conditions, chosen: Option<&str>) -> Result<(), Refusal> {
    let methods = &conditions.payment_methods;
    if methods.is_empty() || chosen.is_some_and(|chosen| methods.iter().any(|named| **named == *chosen)) {
        return Ok(());
    }
    let named: Vec<&str> = methods.iter().map(|method| &**method).collect();
    let chosen = chosen.map_or_else(|| "none is chosen".to_owned(), |chosen| format!("`{chosen}` is chosen"));
    no("payment_method", Why::Text(format!("it is for payment by {}, and {chosen}", named.join(" or ")).into()))
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

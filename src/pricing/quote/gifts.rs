//! Lines that promotions give: priced as any line, and all of it taken off.

use std::collections::HashMap;

use super::{LineRequest, QuoteRequest, ShippingRequest, Taxed, line_input};
use crate::{
    catalog::Variant,
    kernel::{
        Quantity,
        ids::{PromotionId, VariantId},
    },
    pricing::{
        engine,
        model::{AppliedPromotion, LineInput, Step},
        promotions::{Basket, Compiled, GiftLine, earned},
        rates::PriceRow,
    },
};

/// What a promotion that gives goods may give.
#[derive(Debug, Clone, PartialEq)]
pub struct GiftRequest<'a> {
    /// The promotion.
    pub promotion: PromotionId,
    /// The goods; else why they are not given, whatever is in the cart.
    pub goods: Result<GiftGoods<'a>, Step>,
}

/// Goods that may be given.
#[derive(Debug, Clone, PartialEq)]
pub struct GiftGoods<'a> {
    /// The line that they would be; how many they are follows from the cart.
    pub line: LineRequest<'a>,
    /// How many pieces there are beside what the lines take; of what nobody counts, no end.
    pub available: i64,
    /// What a piece weighs.
    pub weight_grams: i64,
}

impl<'a> GiftGoods<'a> {
    /// A variant of which so many pieces are available.
    #[must_use]
    pub fn of(variant: &'a Variant, line_no: i32, available: i64) -> Self {
        let line = LineRequest {
            line_no,
            variant_id: variant.id,
            sku: &variant.sku,
            attributes: &variant.attributes,
            tax_class: &variant.tax_class,
            quantity: Quantity::ONE,
            shipped: variant.requires_shipping,
            price_override: None,
        };
        Self { line, available, weight_grams: variant.weight_grams }
    }

    /// Why a variant is not given that is not sold (any more).
    #[must_use]
    pub fn not_sold(sku: &str) -> Step {
        Step::new("gift_not_sold", format!("{sku} is not sold"))
    }
}

/// A line that a promotion gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// The promotion.
    pub promotion: PromotionId,
    /// The line's number.
    pub line_no: i32,
    /// What.
    pub variant_id: VariantId,
    /// How many pieces.
    pub quantity: Quantity,
}

/// A line that a promotion gives, with its price.
pub(super) struct Gift {
    pub given: Given,
    pub input: LineInput,
    weight_grams: i64,
}

/// Finds what each promotion would give and tells the basket. Promotions share what there is of an article, in their order.
pub(super) fn offered(
    promotions: &[Compiled],
    prices: &HashMap<VariantId, Vec<PriceRow>>,
    (taxed, request): (&Taxed<'_>, &QuoteRequest<'_>),
    basket: &mut Basket<'_>,
) -> Vec<Gift> {
    let requests = &request.gifts;
    let mut gifts = Vec::new();
    if requests.is_empty() {
        return gifts;
    }
    let mut taken: HashMap<VariantId, i64> = HashMap::new();
    for ready in promotions {
        let Some(asked) = requests.iter().find(|asked| asked.promotion == ready.promotion.id) else { continue };
        let found = asked.goods.as_ref().map_err(Step::clone).and_then(|goods| {
            let used = taken.get(&goods.line.variant_id).copied().unwrap_or_default();
            let pieces = earned(ready, basket, goods.available.saturating_sub(used))?;
            gift(ready, prices, (taxed, request), (goods, pieces))
        });
        let told = found.map(|(gift, value)| {
            *taken.entry(gift.given.variant_id).or_default() += gift.given.quantity.get();
            let line = GiftLine { line_no: gift.given.line_no, pieces: gift.given.quantity.get(), value };
            gifts.push(gift);
            line
        });
        basket.gifts.insert(ready.promotion.id, told);
    }
    gifts
}

/// So many pieces as a line, and what they would cost.
fn gift(
    ready: &Compiled,
    prices: &HashMap<VariantId, Vec<PriceRow>>,
    (taxed, request): (&Taxed<'_>, &QuoteRequest<'_>),
    (goods, pieces): (&GiftGoods<'_>, i64),
) -> Result<(Gift, i64), Step> {
    let too_many = |_| Step::new("gift_too_many", "there would be too many pieces of it");
    let quantity = Quantity::new(pieces).map_err(too_many)?;
    let line = LineRequest { quantity, ..goods.line.clone() };
    let unpriced = |detail: String| Step::new("gift_not_priced", detail);
    let (input, _, untaxed) =
        line_input(prices, (taxed, request), &line).map_err(|problem| unpriced(problem.detail))?;
    if let Some(problem) = untaxed {
        return Err(unpriced(problem.detail));
    }
    let value = engine::line_amount(input.price(), quantity, request.rounding.strategy)
        .map_err(|error| unpriced(error.to_string()))?;
    let given = Given { promotion: ready.promotion.id, line_no: line.line_no, variant_id: line.variant_id, quantity };
    Ok((Gift { given, input, weight_grams: goods.weight_grams }, value))
}

/// Those of the gifts whose promotions apply.
pub(super) fn given(offered: Vec<Gift>, applied: &[AppliedPromotion]) -> Vec<Gift> {
    let applies = |gift: &Gift| applied.iter().any(|applied| applied.promotion_id == gift.given.promotion);
    offered.into_iter().filter(applies).collect()
}

/// The shipping that is asked for, with what is given in the parcel.
pub(super) fn weighed(asked: &ShippingRequest, gifts: &[Gift]) -> ShippingRequest {
    let weigh = |gift: &Gift| gift.weight_grams.saturating_mul(gift.given.quantity.get());
    let weight_grams = gifts.iter().map(weigh).fold(asked.weight_grams, i64::saturating_add);
    ShippingRequest { code: asked.code.clone(), weight_grams }
}

//! Lines that promotions give: priced as any line, and all of it taken off.

use std::collections::BTreeSet;

use super::{LineRequest, Prices, QuoteProblem, QuoteRequest, ShippingRequest, Taxed, line_input};
use crate::{
    catalog::Variant,
    kernel::{
        Quantity,
        ids::{PromotionId, VariantId},
    },
    pricing::{
        model::{LineInput, Step},
        promotions::{Basket, GiftLine, Giveable},
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
            parts: Vec::new(),
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

/// What each promotion may give, told to the basket. That promotions share what there is of an article is settled when it is decided
/// which of them apply.
pub(super) fn offered(prices: Prices<'_>, (taxed, request): (&Taxed<'_>, &QuoteRequest<'_>), basket: &mut Basket<'_>) {
    for asked in &request.gifts {
        let goods = asked.goods.as_ref().map_err(Step::clone);
        let told = goods.map(|goods| giveable(prices, (taxed, request), goods));
        basket.gifts.insert(asked.promotion, told);
    }
}

/// What a piece costs depends on how many they are: from each quantity on from which a list has another price.
fn giveable(prices: Prices<'_>, (taxed, request): (&Taxed<'_>, &QuoteRequest<'_>), goods: &GiftGoods<'_>) -> Giveable {
    let rows = prices.of(goods.line.variant_id);
    let steps: BTreeSet<Quantity> = rows.iter().map(|row| row.min_quantity).chain([Quantity::ONE]).collect();
    let price = |quantity: &Quantity| {
        let line = LineRequest { quantity: *quantity, ..goods.line.clone() };
        let priced = match line_input(prices, (taxed, request), &line) {
            Ok((input, _, None)) => Ok(input.price()),
            Ok((_, _, Some(untaxed))) => Err(untaxed),
            Err(problem) => Err(problem),
        };
        (*quantity, priced.map_err(|problem| Step::new("gift_not_priced", problem.detail)))
    };
    Giveable {
        line_no: goods.line.line_no,
        variant: goods.line.variant_id,
        available: goods.available,
        prices: steps.iter().map(price).collect(),
    }
}

/// The lines that are given by the promotions that apply.
pub(super) fn given(
    lines: &[(PromotionId, GiftLine)],
    prices: Prices<'_>,
    (taxed, request): (&Taxed<'_>, &QuoteRequest<'_>),
) -> Result<Vec<Gift>, QuoteProblem> {
    let mut gifts = Vec::with_capacity(lines.len());
    for (promotion, line) in lines {
        let asked = request.gifts.iter().find(|asked| asked.promotion == *promotion);
        let Some(Ok(goods)) = asked.map(|asked| asked.goods.as_ref()) else { continue };
        // It was made from a quantity.
        let Ok(quantity) = Quantity::new(line.pieces) else { continue };
        let wanted = LineRequest { quantity, ..goods.line.clone() };
        let (input, ..) = line_input(prices, (taxed, request), &wanted)?;
        let given = Given { promotion: *promotion, line_no: line.line_no, variant_id: line.variant, quantity };
        gifts.push(Gift { given, input, weight_grams: goods.weight_grams });
    }
    Ok(gifts)
}

/// The shipping that is asked for, with what is given in the parcel.
pub(super) fn weighed(asked: &ShippingRequest, gifts: &[Gift]) -> ShippingRequest {
    let weigh = |gift: &Gift| gift.weight_grams.saturating_mul(gift.given.quantity.get());
    let weight_grams = gifts.iter().map(weigh).fold(asked.weight_grams, i64::saturating_add);
    ShippingRequest { weight_grams, ..asked.clone() }
}

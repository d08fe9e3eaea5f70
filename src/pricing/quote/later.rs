//! What a promotion takes off something that was sold before, and what is owed again without one. Pure.
//!
//! Prices, rates of tax and what other promotions took off stay as they were sold. What is taken off now is decided by the evaluation of
//! carts, and taxed by the engine.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{LineRequest, Prices, QuoteRequest, Rules, Taxed, basket};
use crate::{
    kernel::{
        Instant, Money, Per, Quantity, UnitPrice,
        ids::{PromotionId, VariantId},
    },
    pricing::{
        engine,
        model::{
            Adjustment, AdjustmentTarget, AdjustmentValue, AppliedPromotion, Input, LineInput, LineTotals, PriceError,
            ShippingTotals, Step,
        },
        promotions::{Before, Compiled, Evaluation, Line},
        rates::{self, Asking, ListKind, PriceRow},
    },
};

/// A line that was sold and can cost something else still.
#[derive(Debug, Clone)]
pub struct SoldLine<'a> {
    /// What it is. Its price is that of `totals`.
    pub request: LineRequest<'a>,
    /// What it costs, and why.
    pub totals: LineTotals,
    /// When it was sold.
    pub at: Instant,
    /// Whether its price was agreed: promotions leave it alone.
    pub agreed: bool,
}

/// What was sold, as far as it can cost something else still.
#[derive(Debug, Clone, Default)]
pub struct Sold<'a> {
    /// The lines.
    pub lines: Vec<SoldLine<'a>>,
    /// Shipping.
    pub shipping: Option<ShippingTotals>,
    /// The promotions that have reduced it.
    pub promotions: Vec<AppliedPromotion>,
}

/// What costs something else with a promotion, or without one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repriced {
    /// The promotion, with what it takes off, or took off.
    pub applied: AppliedPromotion,
    /// The lines that cost something else.
    pub lines: Vec<LineTotals>,
    /// Shipping, where that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping: Option<ShippingTotals>,
}

/// What a promotion takes off what was sold, behind all that was taken off it before.
///
/// # Errors
/// Why it does not apply.
pub fn grant(
    rules: &Rules,
    prices: &HashMap<VariantId, Vec<PriceRow>>,
    request: &QuoteRequest<'_>,
    sold: &Sold<'_>,
    promotion: PromotionId,
) -> Result<Repriced, Step> {
    let all = rules.promotions.of(request.channel);
    let ready = all.iter().find(|ready| ready.promotion.id == promotion);
    let ready = ready.ok_or_else(|| Step::new("not_active", "its promotion is over, or for another channel"))?;
    if ready.promotion.rule.gift.goods().is_some() {
        return Err(Step::new("gift_not_offered", "it gives goods, and nothing else: add them as a line of their own"));
    }
    let shown: Vec<Line<'_>> = sold.lines.iter().map(|line| shown(rules, prices, request, line)).collect();
    let basket = basket(request, shown);
    let by: Vec<(&Compiled, &AppliedPromotion)> = sold
        .promotions
        .iter()
        .filter_map(|applied| {
            let known = all.iter().find(|ready| ready.promotion.id == applied.promotion_id)?;
            Some((known.as_ref(), applied))
        })
        .collect();
    let off: Vec<i64> = sold.lines.iter().map(|line| line.totals.discount.minor()).collect();
    let off_shipping = sold.shipping.as_ref().map_or(0, |shipping| shipping.discount.minor());
    let before = Before { off: &off, off_shipping, by: &by };
    let alone = [Arc::clone(ready)];
    let mut evaluation = Evaluation::beside(&alone, &basket, before);
    evaluation.goods();
    match &sold.shipping {
        Some(shipping) => evaluation.shipping_beside(shipping.subtotal.minor(), before),
        None => evaluation.no_shipping(),
    }
    let Evaluation { mut applied, mut passed_over, .. } = evaluation;
    let nothing = || Step::new("nothing", "it takes nothing off");
    let Some(applied) = applied.pop() else {
        return Err(passed_over.pop().map_or_else(nothing, |passed| passed.reason));
    };
    reprice(request, sold, applied, 1)
}

/// What is owed again of what was sold, without a promotion that had reduced it: all that it took off, or nothing.
///
/// # Errors
/// Why not: a line, or shipping, does not change its price any more.
pub fn revoke(request: &QuoteRequest<'_>, sold: &Sold<'_>, applied: &AppliedPromotion) -> Result<Repriced, Step> {
    for share in &applied.lines {
        let line = sold.lines.iter().find(|line| line.totals.line_no == share.line_no);
        let Some(line) = line else {
            let text =
                format!("line {} has moved, is invoiced, or is a part of a bundle: what it costs stays", share.line_no);
            return Err(Step::new("line_settled", text));
        };
        if line.agreed || line.totals.discount.minor() < share.amount.minor() {
            let text = format!("another price was agreed for line {} since", share.line_no);
            return Err(Step::new("line_agreed", text));
        }
    }
    let of_shipping = of_shipping(applied);
    let standing = sold.shipping.as_ref().map_or(0, |shipping| shipping.discount.minor());
    if of_shipping > standing {
        return Err(Step::new("shipping_settled", "shipping is charged already, or otherwise than it was: it stays"));
    }
    reprice(request, sold, applied.clone(), -1)
}

/// What a promotion took off shipping, in minor units.
fn of_shipping(applied: &AppliedPromotion) -> i64 {
    applied.amount.minor() - applied.lines.iter().map(|share| share.amount.minor()).sum::<i64>()
}

/// A line as promotions look at it.
fn shown<'a>(
    rules: &Rules,
    prices: &HashMap<VariantId, Vec<PriceRow>>,
    request: &QuoteRequest<'_>,
    line: &SoldLine<'a>,
) -> Line<'a> {
    let (totals, of) = (&line.totals, &line.request);
    // Whether it was reduced is told by the lists of the time when it was sold.
    let asking = Asking { at: line.at, ..request.asking() };
    let lists = rates::in_question(rules.price_lists.of(request.channel), asking);
    let known = Prices { rows: prices, lists: &lists };
    let chosen = rates::choose_price(&lists, known.of(of.variant_id), asking, of.quantity);
    let taxed = Taxed::new(rules, request.sale, request.at, (request.prices_include_tax, request.rounding.strategy));
    Line {
        line_no: totals.line_no,
        sku: of.sku,
        attributes: of.attributes,
        price: totals.price(),
        quantity: of.quantity.get(),
        subtotal: totals.subtotal.minor(),
        cost: known.cost(of, (&taxed, request), totals.tax_rate),
        reduced: chosen.is_ok_and(|chosen| chosen.kind == ListKind::Sale),
        agreed: line.agreed,
    }
}

/// What lines and shipping cost when a promotion takes off more (`sign` 1), or does not any more (-1).
fn reprice(
    request: &QuoteRequest<'_>,
    sold: &Sold<'_>,
    applied: AppliedPromotion,
    sign: i64,
) -> Result<Repriced, Step> {
    let shares = |line_no: i32| -> i64 {
        applied.lines.iter().filter(|share| share.line_no == line_no).map(|share| share.amount.minor()).sum()
    };
    let mut lines = Vec::with_capacity(applied.lines.len());
    for line in &sold.lines {
        let off = shares(line.totals.line_no);
        if off != 0 {
            let mut totals = line.totals.clone();
            totals.discount = Money::from_minor(totals.discount.minor() + sign * off, request.currency);
            told(&mut totals.explanation, &applied, off, sign);
            lines.push(totals);
        }
    }
    let off = of_shipping(&applied);
    let mut shipping = sold.shipping.clone().filter(|_| off != 0);
    if let Some(shipping) = &mut shipping {
        shipping.discount = Money::from_minor(shipping.discount.minor() + sign * off, request.currency);
        told(&mut shipping.explanation, &applied, off, sign);
    }
    taxed_anew(request, &mut lines, shipping.as_mut()).map_err(|error| Step::new("amount", error.to_string()))?;
    Ok(Repriced { applied, lines, shipping })
}

/// Tells in an explanation what is taken off, or was.
fn told(explanation: &mut Vec<Step>, applied: &AppliedPromotion, off: i64, sign: i64) {
    let source = format!("(promotion:{})", applied.code);
    let amount = Money::from_minor(off, applied.amount.currency());
    let what = applied.coupon.as_ref().map_or_else(|| "the promotion".to_owned(), |code| format!("the coupon {code}"));
    if sign > 0 {
        explanation.push(Step::new("adjustment", format!("{} {source}: {amount} off", applied.name)));
        explanation.push(Step::new("amended", format!("{what} was put on after it was ordered")));
    } else {
        explanation.retain(|step| step.code != "adjustment" || !step.text.contains(&source));
        let text = format!("{} {source}: {amount} are owed again, for {what} was taken off", applied.name);
        explanation.push(Step::new("amended", text));
    }
}

/// Finds net, tax and gross of lines and of shipping by their discounts, at the rates that they were sold at.
fn taxed_anew(
    request: &QuoteRequest<'_>,
    lines: &mut [LineTotals],
    shipping: Option<&mut ShippingTotals>,
) -> Result<(), PriceError> {
    let (mut inputs, mut adjustments) = (Vec::new(), Vec::new());
    for totals in lines.iter() {
        inputs.push(LineInput {
            line_no: totals.line_no,
            unit_price: totals.unit_price,
            per: totals.per,
            quantity: totals.quantity,
            tax_rate: totals.tax_rate,
            shipped: true,
            because: Vec::new(),
        });
        adjustments.push(Adjustment {
            target: AdjustmentTarget::Line { line_no: totals.line_no },
            value: AdjustmentValue::Amount(totals.discount),
            source: String::new(),
            label: String::new(),
        });
    }
    // Each rate that shipping bears is a line to the engine.
    inputs.extend(shipping.as_ref().map_or_else(|| Ok(Vec::new()), |one| carried(request, one))?);
    let input = Input {
        currency: request.currency,
        prices_include_tax: request.prices_include_tax,
        rounding: request.rounding,
        lines: inputs,
        shipping: None,
        further: Vec::new(),
        adjustments,
    };
    let priced = engine::price(&input)?;
    let (goods, of_shipping) = priced.lines.split_at(lines.len());
    for (totals, priced) in lines.iter_mut().zip(goods) {
        if totals.subtotal != priced.subtotal || totals.discount != priced.discount {
            return Err(PriceError::Overflow);
        }
        (totals.net, totals.tax, totals.gross) = (priced.net, priced.tax, priced.gross);
    }
    if let Some(shipping) = shipping {
        let sum = |amount: fn(&LineTotals) -> Money| {
            Money::from_minor(of_shipping.iter().map(|one| amount(one).minor()).sum(), request.currency)
        };
        (shipping.net, shipping.tax, shipping.gross) = (sum(|one| one.net), sum(|one| one.tax), sum(|one| one.gross));
        for (part, priced) in shipping.parts.iter_mut().zip(of_shipping) {
            (part.net, part.tax, part.gross) = (priced.net, priced.tax, priced.gross);
        }
    }
    Ok(())
}

/// What is left of shipping, by the rates that it bears, in the proportion in which it was charged.
fn carried(request: &QuoteRequest<'_>, shipping: &ShippingTotals) -> Result<Vec<LineInput>, PriceError> {
    let left = shipping.subtotal.minor() - shipping.discount.minor();
    let rates: Vec<_> = match shipping.parts.as_slice() {
        [] => vec![(shipping.tax_rate, 1)],
        parts => {
            let charged =
                |one: &Money, other: &Money| if request.prices_include_tax { one.minor() } else { other.minor() };
            parts.iter().map(|part| (part.rate, charged(&part.gross, &part.net))).collect()
        }
    };
    let weights: Vec<i64> = rates.iter().map(|(_, weight)| *weight).collect();
    if left > 0 && weights.iter().all(|weight| *weight == 0) {
        return Err(PriceError::Overflow);
    }
    let parts = rates.iter().zip(engine::spread(left, &weights)).zip((i32::MIN..).take(weights.len()));
    let input = |(((rate, _), part), line_no): ((&(rust_decimal::Decimal, i64), i64), i32)| {
        let unit_price = UnitPrice::of(Money::from_minor(part, request.currency)).ok_or(PriceError::Overflow)?;
        let quantity = Quantity::new(1).map_err(|_| PriceError::Overflow)?;
        let (per, because) = (Per::ONE, Vec::new());
        Ok(LineInput { line_no, unit_price, per, quantity, tax_rate: *rate, shipped: true, because })
    };
    parts.map(input).collect()
}

//! Coupons that are put on an order after the click, and promotions that are taken off it.
//!
//! Both are judged by the engine of carts, on the lines of which nothing has moved and nothing is invoiced, anew with every edit and whenever the
//! amendment is looked at anew. What is limited is taken in the transaction that confirms, by the guarded counters of checkouts.

use super::{
    model::{Edit, MadeEdit, Op, Promoted, PromotionChange},
    plan::Plan,
    priced,
};
use crate::{
    carts::{self, Cart, Context, Later, SoldBefore, WasSold},
    catalog,
    db::Tx,
    error::{Code, Error, Result},
    invoices::{self, Invoiced},
    kernel::{Instant, Quantity, ids::CartId, text::Email},
    orders::{OrderDocument, OrderLine},
    pricing::{
        engine,
        model::{AppliedPromotion, LineTotals, Step},
        promotions::{self, Compiled, code},
    },
};

/// The steps of an explanation that say that a price was agreed: by staff, or in a quote.
const AGREED: [&str; 2] = ["price_override", "quote"];

/// A promotion that an edit names: by its id, its code or its coupon.
fn named<'a>(all: impl IntoIterator<Item = &'a AppliedPromotion>, name: &str) -> Option<&'a AppliedPromotion> {
    let coupon = code::normalised(name);
    all.into_iter().find(|one| {
        one.promotion_id.to_string() == name || one.code == name || (one.coupon.is_some() && one.coupon == coupon)
    })
}

/// The coupon that an edit puts on.
fn put_on_by(made: &MadeEdit) -> Option<&Promoted> {
    made.ops.iter().find_map(|op| match op {
        Op::Promote { promoted } if promoted.coupon.is_some() => Some(&**promoted),
        _ => None,
    })
}

/// Takes back a coupon of this amendment that is to be taken off, or the taking off of a promotion that can not be taken off any more. True
/// where there was one.
pub(super) fn taken_back(made: &mut [MadeEdit], edit: &Edit) -> bool {
    let Edit::RemovePromotion { promotion } = edit else { return false };
    let coupon = code::normalised(promotion);
    let is_it = |one: &Promoted| one.coupon == coupon || named(one.granted(), promotion).is_some();
    let is_own = |one: &MadeEdit| put_on_by(one).is_some_and(is_it) || one.edit == *edit && stays_on(one);
    let Some(own) = made.iter_mut().find(|one| is_own(one)) else { return false };
    own.ops.clear();
    true
}

/// Whether an edit takes a promotion off that can not be taken off any more.
fn stays_on(made: &MadeEdit) -> bool {
    made.ops
        .iter()
        .any(|op| matches!(op, Op::Promote { promoted } if promoted.coupon.is_none() && promoted.refused.is_some()))
}

/// What putting a coupon on does: that is judged with all edits together.
///
/// # Errors
/// `coupon_unknown`; `state_conflict` where the amendment has it.
pub(super) fn put_on(made: &[MadeEdit], typed: &str) -> Result<Vec<Op>> {
    let code = code::normalised(typed).ok_or_else(|| promotions::unknown_coupon(typed).at("/code"))?;
    if made.iter().filter_map(put_on_by).any(|one| one.coupon.as_ref() == Some(&code)) {
        return Err(Error::conflict(format!("the amendment puts {code} on already")).at("/code"));
    }
    Ok(vec![op(Promoted { coupon: Some(code), repriced: None, refused: None, left_out: Vec::new() })])
}

/// What taking a promotion off does: that is judged with all edits together.
///
/// # Errors
/// `not_found`; `state_conflict` where the amendment does so already.
pub(super) fn take_off((order, made): (&OrderDocument, &[MadeEdit]), name: &str) -> Result<Vec<Op>> {
    let missing = || Error::not_found("promotion of the order").at("/promotion");
    let applied = named(&order.promotions, name).ok_or_else(missing)?;
    let plan = Plan::of(made);
    if plan.promoted.iter().filter_map(Promoted::revoked).any(|one| one.promotion_id == applied.promotion_id) {
        return Err(Error::conflict(format!("the amendment takes {} off already", applied.code)).at("/promotion"));
    }
    Ok(vec![op(Promoted { coupon: None, repriced: None, refused: None, left_out: Vec::new() })])
}

fn op(promoted: Promoted) -> Op {
    Op::Promote { promoted: Box::new(promoted) }
}

/// Judges all coupons and promotions of an amendment, whatever was edited behind them. Those from the `first` edit on are of this request.
///
/// # Errors
/// `coupon_unknown`, `coupon_mistyped`; `state_conflict` where a promotion that is to be taken off by this request can not be, as a whole; each with
/// the pointer to the edit. One that could be before tells why it can not any more.
pub(super) fn anew(
    tx: &mut Tx,
    context: &Context,
    order: &OrderDocument,
    (made, first): (&mut [MadeEdit], usize),
) -> Result<()> {
    if !made.iter().flat_map(|one| &one.ops).any(|op| matches!(op, Op::Promote { .. })) {
        return Ok(());
    }
    let invoiced = invoices::invoiced(tx, order.id)?;
    let mut plan = Plan::unpromoted(made);
    let is_edited = first < made.len();
    for (place, one) in made.iter_mut().enumerate() {
        let MadeEdit { edit, ops, .. } = one;
        for op in ops.iter_mut() {
            let Op::Promote { promoted } = op else { continue };
            let at = |error: Error| match place.checked_sub(first) {
                Some(own) => error.at(format!("/edits/{own}{}", own_pointer(edit))),
                None => error.at("/edits"),
            };
            // What could be taken off until an edit of this request is not left behind by it.
            let is_own = place >= first || is_edited && promoted.repriced.is_some();
            **promoted = judged(tx, context, (order, &plan, &invoiced), edit).map_err(at)?;
            if let (true, None, Some(why)) = (is_own, &promoted.coupon, &promoted.refused) {
                return Err(at(Error::conflict(why.text.clone()).with("reason", why.code.clone())));
            }
            plan.promote(promoted);
        }
    }
    Ok(())
}

const fn own_pointer(edit: &Edit) -> &'static str {
    if matches!(edit, Edit::ApplyCoupon { .. }) { "/code" } else { "/promotion" }
}

/// What a coupon takes off now, or what is owed without a promotion.
fn judged(
    tx: &mut Tx,
    context: &Context,
    (order, plan, invoiced): (&OrderDocument, &Plan, &Invoiced),
    edit: &Edit,
) -> Result<Promoted> {
    if context.channel.settings.prices_include_tax != order.prices_include_tax {
        return Err(Error::conflict("the channel's prices include tax otherwise than when this was ordered"));
    }
    let (before, left_out) = standing(order, (plan, invoiced), context);
    let cart = cart_of(tx, context, order, (&before, plan))?;
    match edit {
        Edit::ApplyCoupon { code } => {
            let code = code::normalised(code).ok_or_else(|| promotions::unknown_coupon(code))?;
            if let Some(why) = beside_unknown(context, order) {
                return Ok(Promoted { coupon: Some(code), repriced: None, refused: Some(why), left_out });
            }
            let found = carts::otherwise(tx, context, &cart, (&before, Later::Coupon(&code)))?;
            let found = found.and_then(|repriced| match named(&before.promotions, &repriced.applied.code) {
                Some(_) => Err(Step::new("already_applied", "its promotion has reduced the order already")),
                None => Ok(repriced),
            });
            let (repriced, refused) = (found.as_ref().ok().cloned(), found.err());
            Ok(Promoted { coupon: Some(code), repriced, refused, left_out })
        }
        Edit::RemovePromotion { promotion } => {
            let missing = || Error::not_found("promotion of the order");
            let applied = named(&order.promotions, promotion).ok_or_else(missing)?;
            let found = match unknown(context, order, applied) {
                Some(why) => Err(why),
                None => carts::otherwise(tx, context, &cart, (&before, Later::Without(applied)))?.map_err(|why| {
                    let whole = format!("what {} took off is owed again whole, or not at all", applied.code);
                    Step::new(&why.code, format!("{whole}: {}", why.text))
                }),
            };
            let (repriced, refused) = (found.as_ref().ok().cloned(), found.err());
            Ok(Promoted { coupon: None, repriced, refused, left_out: Vec::new() })
        }
        _ => Err(Error::internal("an edit that is about no promotion puts one on")),
    }
}

/// The rule by which a promotion was given, where it is as it was then.
fn rule_of<'a>(context: &'a Context, applied: &AppliedPromotion) -> Option<&'a Compiled> {
    let mut all = context.rules.promotions.iter();
    let found = all.find(|one| one.promotion.id == applied.promotion_id && one.promotion.version == applied.version);
    found.map(AsRef::as_ref)
}

/// Why no coupon can be judged beside what has reduced the order already: what does not go together with what is written in rules, and
/// these may be over or be others by now; or the discounts came over from another order without their promotions.
fn beside_unknown(context: &Context, order: &OrderDocument) -> Option<Step> {
    if let Some(over) = order.promotions.iter().find(|applied| rule_of(context, applied).is_none()) {
        let text = format!("{} has reduced the order, and its rule is over or another one by now", over.code);
        return Some(Step::new("beside_unknown", text));
    }
    let is_part = order.explanation.iter().any(|step| step.code == "split");
    let is_reduced = order.lines.iter().any(|line| line.discount.minor() != 0);
    (is_part && is_reduced)
        .then(|| Step::new("beside_unknown", "the order is a part of another one, whose promotions have reduced it"))
}

/// Why what a promotion gave is not known any more, or can not be owed again: nobody pays for what they did not order, nor at another rate of tax.
fn unknown(context: &Context, order: &OrderDocument, applied: &AppliedPromotion) -> Option<Step> {
    let Some(known) = rule_of(context, applied) else {
        let text = format!("the rule of {} is over or another one by now: agree on a price instead", applied.code);
        return Some(Step::new("rule_over", text));
    };
    if applied.lines.is_empty()
        && let Some(shipping) = &order.shipping
    {
        let source = format!("(promotion:{})", applied.code);
        let stands = shipping.explanation.iter().any(|one| one.code == "adjustment" && one.text.contains(&source));
        if !stands || shipping.parts.len() > 1 {
            let text = format!("what {} took off shipping does not stand by itself any more", applied.code);
            return Some(Step::new("shipping_mixed", text));
        }
    }
    let sku = known.promotion.rule.gift.goods()?;
    let text = format!("{} gave {sku}: take that line off, and leave the promotion", applied.code);
    Some(Step::new("gift_given", text))
}

/// What of the order can cost something else, with the edits, and the lines that can not.
fn standing(order: &OrderDocument, (plan, invoiced): (&Plan, &Invoiced), context: &Context) -> (SoldBefore, Vec<i32>) {
    let (mut lines, mut left_out) = (Vec::new(), Vec::new());
    let agreed = |totals: &LineTotals| totals.explanation.iter().any(|step| AGREED.contains(&step.code.as_str()));
    let rounding = context.channel.settings.rounding.strategy;
    let gifts: Vec<&str> =
        order.promotions.iter().filter_map(|one| rule_of(context, one)?.promotion.rule.gift.goods()).collect();
    let mut add = |totals: LineTotals, at: Instant| lines.push(WasSold { agreed: agreed(&totals), totals, at });
    for line in &order.lines {
        let taken = plan.cancel.get(&line.line_no).copied().unwrap_or_default();
        if line.quantities.quantity == line.quantities.cancelled + taken {
            continue;
        }
        let repriced = plan.reprice.iter().find(|totals| totals.line_no == line.line_no).cloned();
        let totals = repriced.or_else(|| totals_of(line)).filter(|totals| {
            let amount = engine::line_amount(totals.price(), totals.quantity, rounding);
            amount.is_ok_and(|amount| amount == totals.subtotal.minor())
        });
        let moved = line.quantities.shipped + line.quantities.cancelled + line.quantities.returned + taken;
        // What was given counts for nothing that was bought.
        let given = line.gross.minor() == 0 && gifts.contains(&line.sku.as_str());
        let settled = moved != 0 || line.refunded.minor() != 0 || line.bundle.is_some() || given;
        match totals.filter(|_| !settled && !invoiced.lines.contains(&line.line_no)) {
            Some(totals) => add(totals, order.placed_at),
            None => left_out.push(line.line_no),
        }
    }
    for line in &plan.add {
        add(line.totals.clone(), context.now);
    }
    let one_way = order.deliveries.len() <= 1 && order.lines.iter().all(|line| line.quantities.shipped == 0);
    let charged = !one_way || invoiced.shipping || order.shipping_credited.minor() != 0;
    let shipping = plan.shipping.clone().or_else(|| order.shipping.clone()).filter(|_| !charged);
    let revoked = |one: &&AppliedPromotion| {
        let mut all = plan.promoted.iter().filter_map(Promoted::revoked);
        !all.any(|other| other.promotion_id == one.promotion_id)
    };
    let granted = plan.promoted.iter().filter_map(Promoted::granted);
    let promotions = order.promotions.iter().filter(revoked).chain(granted).cloned().collect();
    (SoldBefore { lines, shipping, promotions, cart: order.cart_id }, left_out)
}

/// What a line of an order was priced at.
fn totals_of(line: &OrderLine) -> Option<LineTotals> {
    Some(LineTotals {
        line_no: line.line_no,
        unit_price: line.unit_price,
        per: line.per,
        quantity: Quantity::new(line.quantities.quantity).ok()?,
        subtotal: line.subtotal,
        discount: line.discount,
        net: line.net,
        tax: line.tax,
        gross: line.gross,
        tax_rate: line.tax_rate,
        explanation: line.explanation.clone(),
    })
}

/// Who has bought it, and what, as a cart.
fn cart_of(
    tx: &mut Tx,
    context: &Context,
    order: &OrderDocument,
    (before, plan): (&SoldBefore, &Plan),
) -> Result<Cart> {
    let sku_of = |line_no: i32| {
        let own = order.lines.iter().find(|line| line.line_no == line_no).map(|line| &line.sku);
        own.or_else(|| plan.add.iter().find(|line| line.line_no == line_no).map(|line| &line.sku))
    };
    let wanted: Vec<(i32, Quantity, &String)> = before
        .lines
        .iter()
        .filter_map(|one| Some((one.totals.line_no, one.totals.quantity, sku_of(one.totals.line_no)?)))
        .collect();
    let skus: Vec<String> = wanted.iter().map(|(_, _, sku)| (*sku).clone()).collect();
    let known = if skus.is_empty() { Vec::new() } else { catalog::by_skus(tx, &skus)? };
    let line = |(line_no, quantity, sku): (i32, Quantity, &String)| {
        let variant = known.iter().find(|variant| variant.sku == *sku)?;
        Some(priced::cart_line(line_no, variant, quantity, None))
    };
    let lines = wanted.into_iter().filter_map(line).collect();
    let mut cart = priced::cart(context, order, 0, context.now, lines);
    buyer(&mut cart, order);
    Ok(cart)
}

/// Notes on a cart who has bought the order, and how they pay.
fn buyer(cart: &mut Cart, order: &OrderDocument) {
    cart.details.email = order.email.as_deref().and_then(|email| Email::new(email).ok());
    cart.details.payment_method = Some(order.payment_method.clone());
    cart.details.source.clone_from(&order.source);
}

/// That everything that is put on applies, and everything that is taken off can be.
///
/// # Errors
/// `coupon_refused`; `state_conflict` for what is taken off; with the `reason`.
pub(super) fn applies(plan: &Plan) -> Result<()> {
    let refused = plan.promoted.iter().find_map(|one| Some((one.coupon.as_ref(), one.refused.as_ref()?)));
    let Some((coupon, why)) = refused else { return Ok(()) };
    let Some(coupon) = coupon else {
        let detail = format!("{}. Say `remove_promotion` of it again to leave it", why.text);
        return Err(Error::conflict(detail).with("reason", why.code.clone()));
    };
    let detail = format!("the coupon {coupon} takes nothing off: {}. Take it off again (`remove_promotion`)", why.text);
    Err(Error::problem(Code::CouponRefused, detail).with("reason", why.code.clone()))
}

/// Gives back what promotions that are taken off have taken of what is limited, and takes what those take that are put on: all or none.
///
/// # Errors
/// `promotion_exhausted` where somebody else had the last; `state_conflict` where a promotion is over.
pub(super) fn settle(tx: &mut Tx, context: &Context, (order, plan): (&OrderDocument, &Plan)) -> Result<()> {
    let mut revoked: Vec<_> = plan.promoted.iter().filter_map(Promoted::revoked).map(|one| one.promotion_id).collect();
    revoked.sort_unstable();
    for promotion in revoked {
        promotions::give_back_one(tx, order.id, promotion)?;
    }
    let granted: Vec<AppliedPromotion> = plan.promoted.iter().filter_map(|one| one.granted().cloned()).collect();
    if granted.is_empty() {
        return Ok(());
    }
    let known = context.rules.promotions.of(order.channel_id);
    if let Some(over) = granted.iter().find(|one| !known.iter().any(|ready| ready.promotion.id == one.promotion_id)) {
        return Err(Error::conflict(format!("the promotion {} is over: take its coupon off again", over.code)));
    }
    let mut cart = priced::cart(context, order, 0, context.now, Vec::new());
    buyer(&mut cart, order);
    let uses = carts::uses_later(context, &cart, &granted);
    let holder = order.cart_id.unwrap_or_else(|| CartId::from_bytes(*order.id.bytes()));
    promotions::consume(tx, context.now, holder, order.id, (&uses, false)).map_err(|error| match error {
        Error::Problem(problem) if problem.code == Code::PromotionExhausted => {
            let detail = "a promotion is used up by now: look at the amendment anew (`preview`)";
            Error::problem(Code::PromotionExhausted, detail)
        }
        error => error,
    })
}

/// How it is told of.
pub(super) fn told(one: &Promoted) -> PromotionChange {
    let applied = one.repriced.as_ref().map(|repriced| &repriced.applied);
    PromotionChange {
        coupon: one.coupon.clone().or_else(|| applied.and_then(|applied| applied.coupon.clone())),
        promotion: applied.map(|applied| applied.code.clone()),
        removed: one.coupon.is_none(),
        amount: applied.map(|applied| applied.amount),
        lines: applied.map(|applied| applied.lines.clone()).unwrap_or_default(),
        reason: one.refused.clone(),
        left_out: one.left_out.clone(),
    }
}

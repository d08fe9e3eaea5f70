//! What an amendment would do to an order as it is now: nothing is written.

use std::collections::{BTreeMap, HashMap};

use super::{
    confirm,
    model::{Amendment, Change, LineChange, MoneyChange, Preview, StockChange, TaxChange},
    plan::Plan,
    promoted,
};
use crate::{
    carts::{self, Context, Promise},
    db::Tx,
    error::{Error, Result},
    fulfilment::{self, Begun},
    kernel::{Country, Instant, Money, ids::LocationId},
    orders::{self, OrderDocument},
    stock::{self, Share, sourcing::Sources},
};

/// What an amendment's edits would do.
///
/// # Errors
/// What the database says; that something stands in its way is told in the preview.
pub(super) fn preview(tx: &mut Tx, context: &Context, order: &OrderDocument, one: &Amendment) -> Result<Preview> {
    let plan = Plan::of(&one.kept.edits);
    let begun = fulfilment::begun(tx, order.id)?;
    let mut blocked = why_not(order, &plan, &begun)?;
    let (mut reserved, mut waits, mut promise) = (Vec::new(), false, None);
    let needs = confirm::needs(&plan);
    if !needs.is_empty() {
        let facts = fulfilment::facts_of(tx, context.now, order, &context.locations)?;
        let sources = Sources::of(&context.locations, &facts);
        let available = stock::look(tx, context.now, &needs, sources)?;
        match stock::sourcing::try_plan(&needs, sources, &available) {
            Ok(found) => {
                waits = !found.waits_at().is_empty();
                promise = promised(tx, context, (order, facts.country), &found)?;
                reserved = told(&plan, &found.shares, context);
            }
            // What comes free may be enough: that is known when it has.
            Err(Error::Problem(_)) if frees(order, &plan) => {}
            Err(Error::Problem(problem)) => blocked = blocked.or(Some(problem.detail)),
            Err(error) => return Err(error),
        }
    }
    if blocked.is_none() {
        blocked = no_way(tx, context, order, &plan)?;
    }
    let uncovered = if on_account(order) { Some(fulfilment::uncovered(tx, context.now, order)?) } else { None };
    let money = money((order, context.now), &plan, uncovered)?;
    let shipped = confirm::shipped_unpaid(order, context.now, &money);
    Ok(Preview {
        lines: lines(order, &plan),
        money,
        reserved,
        freed: freed(order, &plan),
        promotions: plan.promoted.iter().map(promoted::told).collect(),
        given_away: Some(plan.given(order)).filter(|minor| *minor > 0).map(|it| Money::from_minor(it, order.currency)),
        redirected: !plan.ways.is_empty(),
        waits,
        promise,
        blocked: blocked.or(shipped.map(str::to_owned)),
    })
}

/// Why a delivery can not go the way that is asked for, as far as is known now.
fn no_way(tx: &mut Tx, context: &Context, order: &OrderDocument, plan: &Plan) -> Result<Option<String>> {
    for (delivery, (method, address)) in &plan.ways {
        let way = confirm::other_way(*delivery, method.as_ref(), address.as_ref());
        match fulfilment::may_change_way(tx, context.now, (order, &way), (&*context.locations, &*context.rules)) {
            Ok(()) => {}
            Err(Error::Problem(problem)) => return Ok(Some(problem.detail)),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether something is taken off of which something is added.
fn frees(order: &OrderDocument, plan: &Plan) -> bool {
    let mut taken = order.lines.iter().filter(|line| plan.cancel.contains_key(&line.line_no));
    taken.any(|line| plan.add.iter().any(|added| added.variant_id == line.variant_id))
}

/// By when what is added would arrive, with the delivery that the order has first; nothing where nobody knows.
fn promised(
    tx: &mut Tx,
    context: &Context,
    (order, country): (&OrderDocument, Country),
    found: &stock::sourcing::Replanned,
) -> Result<Option<Promise>> {
    let at = stock::outlook::coming(tx, context.now, &context.locations, &found.waits_at())?;
    let from = carts::origins(&found.shares, (&at, &found.awaited())).filter(|from| !from.is_empty());
    let method = order.deliveries.first().and_then(|one| one.method.as_deref());
    let (Some(from), Some(method)) = (from, method) else { return Ok(None) };
    let rules = (&*context.rules, &context.channel);
    Ok(carts::promise(rules, (method, country), (&context.locations, &from), context.now))
}

fn why_not(order: &OrderDocument, plan: &Plan, begun: &Begun) -> Result<Option<String>> {
    if order.state != orders::OrderState::Placed {
        return Ok(Some(format!("the order is {}", order.state)));
    }
    if plan.is_empty() {
        return Ok(Some("nothing would be changed".to_owned()));
    }
    match promoted::applies(plan).and_then(|()| plan.check(order, &begun.unpicked)) {
        Ok(()) => Ok(None),
        Err(Error::Problem(problem)) => Ok(Some(problem.detail)),
        Err(error) => Err(error),
    }
}

fn told(plan: &Plan, shares: &[Share], context: &Context) -> Vec<StockChange> {
    let skus: HashMap<i32, &str> = plan.add.iter().map(|line| (line.line_no, line.sku.as_str())).collect();
    let code = |id: LocationId| context.locations.get(id).ok().map(|place| place.code.clone());
    let share = |share: &Share| StockChange {
        line_no: share.line_no,
        sku: skus.get(&share.line_no).copied().unwrap_or_default().to_owned(),
        quantity: share.quantity,
        location: code(share.location),
    };
    shares.iter().map(share).collect()
}

/// What each line would be that differs.
pub(super) fn lines(order: &OrderDocument, plan: &Plan) -> Vec<LineChange> {
    let repriced: BTreeMap<i32, i64> =
        plan.reprice.iter().map(|totals| (totals.line_no, totals.gross.minor())).collect();
    let mut all: Vec<LineChange> = Vec::new();
    for line in &order.lines {
        let taken = plan.cancel.get(&line.line_no).copied().unwrap_or_default();
        let after = repriced.get(&line.line_no).copied();
        if taken == 0 && after.is_none() {
            continue;
        }
        let old = line.quantities.quantity - line.quantities.cancelled;
        let before = Money::from_minor(line.gross_of(old), order.currency);
        let amount = Change::of(before, after.unwrap_or_else(|| line.gross_of(old - taken)));
        let (line_no, sku) = (line.line_no, line.sku.clone());
        all.push(LineChange { line_no, sku, old_quantity: old, new_quantity: old - taken, amount });
    }
    for line in &plan.add {
        let amount = Change::of(Money::zero(order.currency), line.totals.gross.minor());
        let (line_no, sku) = (line.line_no, line.sku.clone());
        all.push(LineChange { line_no, sku, old_quantity: 0, new_quantity: line.totals.quantity.get(), amount });
    }
    all
}

/// What the customer is promised to pay with already, in minor units: what was captured and not given back, and what providers have promised.
/// That somebody will pay by hand is no promise, nor is one that has ended.
pub(super) fn covered(order: &OrderDocument, now: Instant) -> i64 {
    let sum = |payment: &crate::payments::PaymentView| {
        payment.captured.minor() - payment.refunded.minor() + payment.promised(now)
    };
    order.payments.iter().map(sum).sum()
}

/// Whether the order was to be paid by hand as a whole: then more of it is too.
pub(super) fn is_by_hand(order: &OrderDocument) -> bool {
    order.payment_method == crate::payments::MANUAL
}

/// Whether more of it is put on its company's account.
pub(super) fn on_account(order: &OrderDocument) -> bool {
    order.payment_method == crate::credit::ON_ACCOUNT
}

/// What the money would be. `uncovered` is what the order owes by its ledger beside what is promised, in minor units, where more of it is put on
/// account.
pub(super) fn money(
    (order, now): (&OrderDocument, Instant),
    plan: &Plan,
    uncovered: Option<i64>,
) -> Result<MoneyChange> {
    let currency = order.currency;
    let differences = orders::differences(order, &confirm::amended(plan))?;
    let mut rates: BTreeMap<_, (i64, i64)> =
        differences.into_iter().map(|(rate, change)| (rate, (change.net, change.tax))).collect();
    let mut due = order.money().due;
    for (net, tax) in rates.values() {
        due += net + tax;
    }
    for (line_no, quantity) in &plan.cancel {
        let line = order.line(*line_no)?;
        let kept = line.quantities.quantity - line.quantities.cancelled;
        let share = crate::pricing::engine::share_taxed(
            line.gross.minor(),
            line.tax.minor(),
            kept - quantity,
            kept,
            line.quantities.quantity,
        );
        due -= share.gross;
        let sum = rates.entry(line.tax_rate.normalize()).or_default();
        (sum.0, sum.1) = (sum.0 - share.net, sum.1 - share.tax);
    }
    let shipping = order.shipping.as_ref().map_or(Money::zero(currency), |shipping| shipping.gross);
    let after = plan.shipping.as_ref().map_or(shipping.minor(), |shipping| shipping.gross.minor());
    let (covered, captured) = (covered(order, now), order.money());
    // What was given back out of goodwill is not asked for again: no more is than comes to it.
    let added = (due - captured.due).max(0);
    let on_account = uncovered.map(|minor| (minor + due - captured.due).min(added)).filter(|minor| *minor > 0);
    let to_pay = match is_by_hand(order) {
        true => due - (captured.captured - captured.refunded),
        false if uncovered.is_some() => 0,
        false => (due - covered).min(added),
    };
    let taxes = rates.into_iter().filter(|(_, sums)| *sums != (0, 0)).map(|(rate, (net, tax))| TaxChange {
        rate,
        net: Money::from_minor(net, currency),
        tax: Money::from_minor(tax, currency),
    });
    Ok(MoneyChange {
        due: Change::of(Money::from_minor(captured.due, currency), due),
        shipping: Change::of(shipping, after),
        taxes: taxes.collect(),
        covered: Money::from_minor(covered, currency),
        to_pay: Money::from_minor(to_pay.max(0), currency),
        on_account: on_account.map(|minor| Money::from_minor(minor, currency)),
        to_refund: Money::from_minor((captured.captured - captured.refunded - due).max(0), currency),
    })
}

fn freed(order: &OrderDocument, plan: &Plan) -> Vec<StockChange> {
    let piece = |(line_no, quantity): (&i32, &i64)| {
        let line = order.line(*line_no).ok()?;
        let quantity = (*quantity).min(line.quantities.allocated);
        (quantity > 0).then(|| StockChange { line_no: *line_no, sku: line.sku.clone(), quantity, location: None })
    };
    plan.cancel.iter().filter_map(piece).collect()
}

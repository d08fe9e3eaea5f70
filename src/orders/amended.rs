//! What an order's rows look like after it was amended: lines that are added behind those there are, prices of lines of which nothing has
//! moved yet, another price of shipping. What was sold stays as it was sold; the sums are those of before and what differs.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::{
    document::{LineDetails, OrderDocument, PlacedLine},
    service::document,
    store,
};
use crate::{
    carts::DeliveryLine,
    db::Tx,
    error::{Error, Result},
    kernel::{Money, ids::PromotionId},
    pricing::model::{AppliedPromotion, LineTotals, ShippingTotals, TaxTotal, Totals},
};

/// A line that an order gets after it was placed.
#[derive(Debug, Clone)]
pub struct AddedLine {
    /// The line.
    pub line: PlacedLine,
    /// Its price.
    pub totals: LineTotals,
    /// The place among the order's deliveries of the one that it is of, from 0.
    pub delivery: usize,
}

/// What is written into an order by an amendment.
#[derive(Debug, Clone, Default)]
pub struct Amended {
    /// Lines behind those there are.
    pub added: Vec<AddedLine>,
    /// New prices of lines of which nothing was shipped, cancelled or taken back.
    pub repriced: Vec<LineTotals>,
    /// What shipping costs from now on.
    pub shipping: Option<ShippingTotals>,
    /// Promotions that reduce it from now on.
    pub granted: Vec<AppliedPromotion>,
    /// Promotions that do not any more.
    pub revoked: Vec<PromotionId>,
}

/// What an amendment adds to the sums at one rate of tax, or takes off: minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateChange {
    /// Without tax.
    pub net: i64,
    /// The tax.
    pub tax: i64,
}

/// By how much amounts differ, by rate of tax.
pub type Differences = BTreeMap<Decimal, RateChange>;

/// What an amendment adds to an order's sums and takes off, by rate. Pure.
///
/// # Errors
/// `line_unknown` where a line is repriced that the order does not have.
pub fn differences(order: &OrderDocument, what: &Amended) -> Result<Differences> {
    let mut all = Differences::new();
    let mut add = |rate: Decimal, net: i64, tax: i64| {
        let sum = all.entry(rate.normalize()).or_default();
        (sum.net, sum.tax) = (sum.net + net, sum.tax + tax);
    };
    for one in &what.added {
        add(one.totals.tax_rate, one.totals.net.minor(), one.totals.tax.minor());
    }
    for totals in &what.repriced {
        let before = order.line(totals.line_no)?;
        add(before.tax_rate, -before.net.minor(), -before.tax.minor());
        add(totals.tax_rate, totals.net.minor(), totals.tax.minor());
    }
    if let Some(after) = &what.shipping {
        for (shipping, sign) in order.shipping.iter().map(|one| (one, -1)).chain([(after, 1)]) {
            if shipping.parts.is_empty() {
                add(shipping.tax_rate, sign * shipping.net.minor(), sign * shipping.tax.minor());
            }
            for part in &shipping.parts {
                add(part.rate, sign * part.net.minor(), sign * part.tax.minor());
            }
        }
    }
    Ok(all)
}

/// The order's sums afterwards. Pure.
fn totals_after(order: &OrderDocument, totals: &mut Totals, what: &Amended) -> Result<()> {
    let money = |minor: i64| Money::from_minor(minor, totals.currency);
    let (mut subtotal, mut discount) = (totals.subtotal.minor(), totals.discount.minor());
    for one in &what.added {
        subtotal += one.totals.subtotal.minor();
        discount += one.totals.discount.minor();
    }
    for after in &what.repriced {
        let before = order.line(after.line_no)?;
        subtotal += after.subtotal.minor() - before.subtotal.minor();
        discount += after.discount.minor() - before.discount.minor();
    }
    let (mut net, mut tax) = (totals.net.minor(), totals.tax.minor());
    for (rate, change) in differences(order, what)? {
        net += change.net;
        tax += change.tax;
        match totals.taxes.iter_mut().find(|row| row.rate.normalize() == rate) {
            Some(row) => {
                row.net = money(row.net.minor() + change.net);
                row.tax = money(row.tax.minor() + change.tax);
                row.gross = money(row.net.minor() + row.tax.minor());
            }
            None => totals.taxes.push(TaxTotal {
                rate,
                net: money(change.net),
                tax: money(change.tax),
                gross: money(change.net + change.tax),
            }),
        }
    }
    totals.taxes.sort_by_key(|row| row.rate);
    (totals.subtotal, totals.discount) = (money(subtotal), money(discount));
    (totals.net, totals.tax, totals.total) = (money(net), money(tax), money(net + tax));
    totals.promotions.retain(|applied| !what.revoked.contains(&applied.promotion_id));
    totals.promotions.extend(what.granted.iter().cloned());
    let is_granted = |id: PromotionId| what.granted.iter().any(|applied| applied.promotion_id == id);
    totals.passed_over.retain(|passed| !is_granted(passed.promotion_id));
    if let Some(shipping) = &what.shipping {
        totals.shipping_total = shipping.gross;
        totals.shipping = Some(shipping.clone());
    }
    Ok(())
}

/// Writes an amendment of a locked order and reads it again, whole. Its version is counted up by [`super::save`], which the caller
/// calls with it.
///
/// # Errors
/// `line_unknown`; `state_conflict` for the price of a line of which something has moved meanwhile.
pub fn amend(tx: &mut Tx, order: &OrderDocument, what: &Amended) -> Result<OrderDocument> {
    let missing = || Error::not_found("order");
    let mut details = store::row(tx, order.id)?.ok_or_else(missing)?.doc.0;
    totals_after(order, &mut details.totals, what)?;
    for one in &what.added {
        let slot = details.deliveries.get_mut(one.delivery);
        let delivery = slot.ok_or_else(|| Error::not_found("delivery of the order"))?;
        delivery.line_nos.push(one.line.line_no);
        if !delivery.lines.is_empty() {
            delivery.lines.push(DeliveryLine { line_no: one.line.line_no, quantity: one.line.quantity.get() });
        }
    }
    let amounts = |totals: &LineTotals| {
        [totals.unit_price.scaled(), totals.net.minor(), totals.tax.minor(), totals.gross.minor()]
    };
    if !what.added.is_empty() {
        let lines: Vec<_> = what.added.iter().map(|one| (one.line.clone(), amounts(&one.totals))).collect();
        store::insert_lines(tx, store::line_binds(order.id, order.placed_at, &lines)?)?;
    }
    for totals in &what.repriced {
        let line = order.line(totals.line_no)?;
        let doc = LineDetails {
            name: line.name.clone(),
            unit_code: line.unit_code.clone(),
            requires_shipping: line.requires_shipping,
            weight_grams: line.weight_grams,
            tax_class: line.tax_class.clone(),
            tax_rate: totals.tax_rate,
            per: totals.per,
            subtotal: totals.subtotal,
            discount: totals.discount,
            explanation: totals.explanation.clone(),
            bundle: line.bundle.clone(),
            metadata: line.metadata.clone(),
        };
        if !store::reprice_line(tx, order.id, totals.line_no, amounts(totals), &doc)? {
            let detail = format!("something of line {} has moved: its price stays", totals.line_no);
            return Err(Error::conflict(detail).with("line_no", totals.line_no));
        }
    }
    store::save_totals(tx, order.id, &details)?;
    document(tx, order.id)?.ok_or_else(missing)
}

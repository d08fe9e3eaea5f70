//! What new lines, new prices and another way of shipping cost: asked of the live engine through a cart that nobody keeps.
//!
//! It is priced as something that was sold at an instant, so that promotions, which are limited and counted by carts, are left alone: what is
//! added costs what the price lists say for this customer, or what somebody with the scope for it has agreed.

use std::collections::HashMap;

use super::{model::PricedLine, plan::Plan};
use crate::{
    carts::{self, Cart, CartDetails, CartLine, CartState, Context, Delivery, Stage},
    catalog::{self, BackorderPolicy, StockPolicy, Variant},
    db::Tx,
    error::{Code, Error, Result},
    kernel::{Id, Instant, Per, PricePer, Quantity, ids::CartId},
    orders::{OrderDocument, OrderLine},
    pricing::model::{LineTotals, ShippingTotals, Step, Totals},
};

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub sku: &'a str,
    pub quantity: Quantity,
    /// The price that was agreed; the list's where there is none.
    pub agreed: Option<PricePer>,
    pub why: Option<&'a str>,
}

/// A cart of the order's customer that goes where one of its deliveries does, with these lines.
pub(super) fn cart(
    context: &Context,
    order: &OrderDocument,
    delivery: usize,
    at: Instant,
    lines: Vec<CartLine>,
) -> Cart {
    let place = order.deliveries.get(delivery);
    let address = place.and_then(|one| one.address.clone()).or_else(|| {
        let pickup = place.and_then(|one| one.pickup.as_ref());
        pickup.and_then(|pickup| pickup.address.clone())
    });
    Cart {
        id: CartId::from_bytes(*order.id.bytes()),
        channel: order.channel_id,
        customer: order.customer_id,
        state: CartState::Open,
        version: 1,
        currency: order.currency,
        device: order.device,
        stage: Stage::Cart,
        order: None,
        active_at: context.now,
        expires_at: context.now,
        created_at: context.now,
        details: CartDetails {
            next_line_no: lines.iter().map(|line| line.line_no).max().unwrap_or_default().saturating_add(1),
            lines,
            billing_address: order.billing_address.clone(),
            shipping_address: address,
            vat_id: order.vat_id.clone(),
            locale: order.locale.clone(),
            occurred_at: Some(at),
            ..CartDetails::default()
        },
    }
}

pub(super) fn cart_line(line_no: i32, variant: &Variant, quantity: Quantity, agreed: Option<PricePer>) -> CartLine {
    CartLine {
        id: Id::new(),
        line_no,
        variant_id: variant.id,
        sku: variant.sku.clone(),
        name: variant.name.clone(),
        quantity,
        agreed_price: agreed.map(|price| price.price),
        agreed_per: agreed.map_or(Per::ONE, |price| price.per),
        prior_price: None,
        prior_per: Per::ONE,
        reduction_percent: None,
        gift_of: None,
        components: Vec::new(),
        metadata: serde_json::Map::new(),
    }
}

/// What stands in the way of a price, as a refusal.
fn unpriced(cart: &Cart) -> Error {
    let blocking = cart.details.problems.iter().filter(|problem| problem.blocking);
    let mut found = blocking.filter_map(|problem| {
        let code = Code::ALL.iter().find(|code| code.as_str() == problem.code)?;
        Some(Error::problem(*code, problem.detail.clone()))
    });
    found.next().unwrap_or_else(|| Error::problem(Code::PriceMissing, "it can not be priced"))
}

fn priced(tx: &mut Tx, context: &Context, mut cart: Cart, order: &OrderDocument) -> Result<Totals> {
    carts::reprice(tx, context, &mut cart, false)?;
    let Some(totals) = cart.details.totals.take() else { return Err(unpriced(&cart)) };
    if totals.prices_include_tax != order.prices_include_tax {
        return Err(Error::conflict("the channel's prices include tax otherwise than when this was ordered"));
    }
    if order.tax_treatment.is_some() && totals.tax_treatment != order.tax_treatment {
        let detail = "it would be taxed otherwise than the order was: have it ordered by itself";
        return Err(Error::conflict(detail));
    }
    Ok(totals)
}

fn first(totals: Totals) -> Result<LineTotals> {
    totals.lines.into_iter().next().ok_or_else(|| Error::problem(Code::PriceMissing, "it can not be priced"))
}

/// A variant that can be sold by itself.
fn variant(tx: &mut Tx, sku: &str) -> Result<Variant> {
    let found = catalog::by_skus(tx, &[sku.to_owned()])?.into_iter().next();
    let found = found.ok_or_else(|| Error::problem(Code::SkuUnknown, format!("there is no SKU `{sku}`")).at("/sku"))?;
    if found.is_bundle() {
        return Err(Error::invalid("/sku", "a bundle is sold by a cart: name what it is made of"));
    }
    if found.status != catalog::VariantStatus::Active {
        return Err(Error::invalid("/sku", format!("{sku} is not sold any more")));
    }
    Ok(found)
}

/// What a line that is added costs at this moment.
///
/// # Errors
/// `sku_unknown`, `invalid_value`, `price_missing`, `tax_rate_missing`; `state_conflict` where it would be taxed otherwise.
pub(super) fn line(
    tx: &mut Tx,
    context: &Context,
    order: &OrderDocument,
    (line_no, delivery): (i32, usize),
    wanted: &Wanted<'_>,
) -> Result<PricedLine> {
    let variant = variant(tx, wanted.sku)?;
    let own = cart_line(line_no, &variant, wanted.quantity, wanted.agreed);
    let asked = cart(context, order, delivery, context.now, vec![own]);
    let mut totals = first(priced(tx, context, asked, order)?)?;
    let given = match wanted.agreed {
        None => 0,
        Some(_) => {
            let own = cart_line(line_no, &variant, wanted.quantity, None);
            let listed = cart(context, order, delivery, context.now, vec![own]);
            match priced(tx, context, listed, order).and_then(first) {
                Ok(listed) => (listed.gross.minor() - totals.gross.minor()).max(0),
                // No list has a price for it: nothing is known that would be given away.
                Err(Error::Problem(_)) => 0,
                Err(error) => return Err(error),
            }
        }
    };
    totals.explanation.extend(wanted.why.map(|why| Step::new("price_override", why)));
    let tracked = variant.stock_policy == StockPolicy::Tracked;
    Ok(PricedLine {
        line_no,
        variant_id: variant.id,
        sku: variant.sku,
        name: variant.name,
        unit_code: variant.unit_code,
        leaves: variant.requires_shipping || tracked,
        tracked,
        backorder: variant.backorder_policy == BackorderPolicy::Allow,
        requires: variant.requires.clone(),
        weight_grams: variant.weight_grams,
        tax_class: variant.tax_class,
        delivery,
        totals,
        given,
    })
}

/// What a line of the order would cost at another price, taxed as when it was ordered.
///
/// # Errors
/// As [`line`].
pub(super) fn reprice(
    tx: &mut Tx,
    context: &Context,
    order: &OrderDocument,
    of: &OrderLine,
    (price, why): (PricePer, &str),
) -> Result<LineTotals> {
    let variant = variant(tx, &of.sku)?;
    let variant = Variant { tax_class: of.tax_class.clone(), ..variant };
    let quantity = Quantity::new(of.quantities.quantity).map_err(Error::internal)?;
    let own = cart_line(of.line_no, &variant, quantity, Some(price));
    let cart = cart(context, order, 0, order.placed_at, vec![own]);
    let mut totals = first(priced(tx, context, cart, order)?)?;
    if totals.tax_rate.normalize() != of.tax_rate.normalize() {
        return Err(Error::conflict("the article is taxed otherwise by now: take the line off and add it anew"));
    }
    totals.explanation.push(Step::new("price_override", why));
    Ok(totals)
}

/// What shipping by another method costs, of all that is left and is added.
///
/// # Errors
/// `shipping_method_unavailable`, `tax_rate_missing`.
pub(super) fn shipping(
    tx: &mut Tx,
    context: &Context,
    order: &OrderDocument,
    (plan, method): (&Plan, &str),
) -> Result<ShippingTotals> {
    shipping_of(tx, context, order, (plan, 0, method))
}

/// How many pieces of a line one of several deliveries carries; `None` where that is all of it.
fn pieces_of(delivery: &Delivery, line_no: i32) -> Option<i64> {
    let own = delivery.lines.iter().filter(|line| line.line_no == line_no);
    (!delivery.lines.is_empty()).then(|| own.map(|line| line.quantity).sum())
}

/// The same; of several deliveries, of what this one carries.
fn shipping_of(
    tx: &mut Tx,
    context: &Context,
    order: &OrderDocument,
    (plan, delivery, method): (&Plan, usize, &str),
) -> Result<ShippingTotals> {
    let several = order.deliveries.len() > 1;
    let own = order.deliveries.get(delivery).filter(|_| several);
    let taken = |line_no: i32| plan.cancel.get(&line_no).copied().unwrap_or_default();
    let mut wanted: Vec<(i32, String, i64, PricePer)> = Vec::new();
    for line in &order.lines {
        let whole = line.quantities.quantity - line.quantities.cancelled - taken(line.line_no);
        let kept = own.map_or(whole, |own| pieces_of(own, line.line_no).map_or(whole, |its| its.min(whole)));
        if own.is_some_and(|own| !own.line_nos.contains(&line.line_no)) {
            continue;
        }
        wanted.push((line.line_no, line.sku.clone(), kept, line.price()));
    }
    for line in plan.add.iter().filter(|line| !several || line.delivery == delivery) {
        let price = PricePer { price: line.totals.unit_price, per: line.totals.per };
        wanted.push((line.line_no, line.sku.clone(), line.totals.quantity.get(), price));
    }
    wanted.retain(|(_, _, kept, _)| *kept > 0);
    let skus: Vec<String> = wanted.iter().map(|(_, sku, ..)| sku.clone()).collect();
    let known: HashMap<String, Variant> =
        catalog::by_skus(tx, &skus)?.into_iter().map(|variant| (variant.sku.clone(), variant)).collect();
    let line = |(line_no, sku, kept, price): (i32, String, i64, PricePer)| {
        let quantity = Quantity::new(kept).ok()?;
        known.get(&sku).map(|variant| cart_line(line_no, variant, quantity, Some(price)))
    };
    let lines = wanted.into_iter().filter_map(line).collect();
    let mut cart = cart(context, order, delivery, context.now, lines);
    cart.details.shipping_method = Some(method.to_owned());
    let totals = priced(tx, context, cart, order).map_err(|error| error.at("/method"))?;
    let refused = || Error::problem(Code::ShippingMethodUnavailable, format!("`{method}` does not take this order"));
    totals.shipping.ok_or_else(|| refused().at("/method"))
}

/// What another method costs more than is charged, with tax, in minor units, of all that is left and is added: it is taken for the old price. Of
/// several deliveries, more than this one was sold at. Nothing where no price of it is known.
///
/// # Errors
/// What the database says.
pub(super) fn kept(
    tx: &mut Tx,
    context: &Context,
    order: &OrderDocument,
    (plan, delivery, method): (&Plan, usize, &str),
) -> Result<i64> {
    let then = match shipping_of(tx, context, order, (plan, delivery, method)) {
        Ok(totals) => totals.gross.minor(),
        Err(Error::Problem(_)) => return Ok(0),
        Err(error) => return Err(error),
    };
    let own = order.deliveries.get(delivery).and_then(|one| one.shipping.as_ref());
    let now = match order.deliveries.len() {
        ..=1 => order.shipping.as_ref().map_or(0, |shipping| shipping.gross.minor()),
        _ => own.map_or(0, |shipping| shipping.gross.minor()),
    };
    Ok((then - now).max(0))
}

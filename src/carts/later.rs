//! Coupons after the click: judged as those of a cart, on what was sold and can cost something else still.

use std::collections::HashMap;

use super::{
    model::Cart,
    pricing::{Asked, Context, empty_request, has_ordered_beside, lines, variants},
};
use crate::{
    db::Tx,
    error::Result,
    kernel::{
        Instant,
        ids::{CartId, VariantId},
    },
    pricing::{
        self, Consider, QuoteRequest, Repriced, Sold, SoldLine,
        model::{AppliedPromotion, LineTotals, ShippingTotals, Step},
        promotions::{self, Person, Use},
    },
};

/// A line that was sold, beside the line of the cart that says what it is.
#[derive(Debug, Clone)]
pub(crate) struct WasSold {
    /// What it costs.
    pub totals: LineTotals,
    /// When it was sold.
    pub at: Instant,
    /// Whether its price was agreed.
    pub agreed: bool,
}

/// What was sold and can cost something else still.
#[derive(Debug, Clone, Default)]
pub(crate) struct SoldBefore {
    /// The lines.
    pub lines: Vec<WasSold>,
    /// Shipping.
    pub shipping: Option<ShippingTotals>,
    /// The promotions that have reduced it.
    pub promotions: Vec<AppliedPromotion>,
    /// The cart that it was sold by: it does not make whoever bought it somebody who has ordered before.
    pub cart: Option<CartId>,
}

/// What is to be different.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Later<'a> {
    /// The coupon of a code, as it is stored.
    Coupon(&'a str),
    /// Without a promotion that had reduced it.
    Without(&'a AppliedPromotion),
}

/// What costs something else by that, or why nothing does. `cart` says who buys what, where it goes and how it is paid.
///
/// # Errors
/// `coupon_unknown`, `coupon_mistyped`.
pub(crate) fn otherwise(
    tx: &mut Tx,
    context: &Context,
    cart: &Cart,
    (before, later): (&SoldBefore, Later<'_>),
) -> Result<Result<Repriced, Step>> {
    let mut cart = cart.clone();
    if let Later::Coupon(code) = later {
        cart.details.coupons = vec![code.to_owned()];
    }
    let variants: HashMap<VariantId, _> =
        variants(tx, &cart)?.into_iter().map(|variant| (variant.id, variant)).collect();
    let mut asked = Asked::read(tx, context, &cart, &variants)?;
    if context.rules.ask_for_first_orders(cart.channel) {
        let email = cart.details.email.as_ref();
        asked.buyer.first_order = !has_ordered_beside(tx, cart.customer, email, before.cart)?;
    }
    let nothing = HashMap::new();
    let request = QuoteRequest { consider: Consider::Active, ..empty_request(context, &cart, (&asked, &nothing)) };
    let known = lines(&cart, &variants);
    let line = |one: &WasSold| {
        let request = known.iter().find(|line| line.line_no == one.totals.line_no)?.clone();
        Some(SoldLine { request, totals: one.totals.clone(), at: one.at, agreed: one.agreed })
    };
    let sold = Sold {
        lines: before.lines.iter().filter_map(line).collect(),
        shipping: before.shipping.clone(),
        promotions: before.promotions.clone(),
    };
    let code = match later {
        Later::Without(applied) => return Ok(pricing::revoke(&request, &sold, applied)),
        Later::Coupon(code) => code,
    };
    let Some(coupon) = asked.coupons.first() else { return Err(promotions::unknown_coupon(code)) };
    if let Some(refused) = &coupon.refused {
        return Ok(Err(refused.clone()));
    }
    let ids: Vec<VariantId> = cart.details.lines.iter().map(|line| line.variant_id).collect();
    let prices = if ids.is_empty() { HashMap::new() } else { pricing::prices(tx, &ids)? };
    let left = pricing::left(tx, (context.now, None), &context.rules, &request, &asked.person)?;
    let request = QuoteRequest { left: &left, ..request };
    Ok(pricing::grant(&context.rules, &prices, &request, &sold, coupon.promotion))
}

/// What is taken of promotions that are counted, for whoever this cart is of.
pub(crate) fn uses_of(context: &Context, cart: &Cart, applied: &[AppliedPromotion]) -> Vec<Use> {
    let person = Person::new(cart.customer, cart.details.email.as_ref(), &context.secret);
    promotions::uses_of_applied(context.rules.promotions.of(cart.channel), applied, &person)
}

//! What a cart tells of itself to whoever decides where its goods come from.

use std::collections::HashMap;

use super::{
    dto::ShippingChoice,
    model::{Cart, CartState},
    pricing::{self, Context, Priced},
    promise, service,
};
use crate::{
    customers,
    db::Tx,
    error::{Code, Result},
    kernel::{Money, ids::LocationId},
    pricing::ShippingOption,
    stock::{
        self, Locations,
        sourcing::{self, Facts, LineFacts, Sources},
    },
};

/// What is known of a cart that is to be placed. No statement, unless the live profile asks for the customer's group and the cart
/// was not priced in this transaction.
///
/// # Errors
/// What the database says.
pub(crate) fn facts(
    tx: &mut Tx,
    context: &Context,
    cart: &Cart,
    priced: &Priced,
    locations: &Locations,
) -> Result<Facts> {
    let live = locations.profile_of(cart.channel);
    let asks = live.is_some_and(|profile| profile.document.asks_for_groups());
    let customer_group = match (&priced.group, cart.customer) {
        (Some(group), _) => group.clone(),
        (None, Some(customer)) if asks => customers::standing(tx, customer)?.group,
        _ => None,
    };
    let details = &cart.details;
    let line = |line: &super::CartLine| {
        let grams = priced.variants.get(&line.variant_id).map_or(0, |variant| variant.weight_grams);
        (line.line_no, LineFacts { grams, metadata: line.metadata.clone() })
    };
    // Without a profile nobody looks at the lines.
    let lines = if live.is_some() { details.lines.iter().map(line).collect() } else { HashMap::new() };
    let address = details.shipping_address.as_ref().or(details.billing_address.as_ref());
    let cost = |totals: &crate::pricing::model::Totals| totals.subtotal.minor() - totals.discount.minor();
    Ok(Facts {
        channel: cart.channel,
        country: pricing::destination(context, cart, true),
        postcode: address.map(|address| address.postcode.to_string()),
        value: details.totals.as_ref().map(|totals| Money::from_minor(cost(totals), cart.currency)),
        customer_group,
        tags: sourcing::tags(&details.metadata),
        at: details.occurred_at.unwrap_or(context.now),
        lines,
        weight_grams: pricing::weight(cart, &priced.variants),
    })
}

/// The shipping methods that a cart is offered, at what they cost it and with by when its goods arrive. Which it has chosen is taken
/// off it.
///
/// # Errors
/// What the database says.
pub(super) fn offered(
    tx: &mut Tx,
    context: &Context,
    cart: &mut Cart,
    locations: &Locations,
) -> Result<Vec<ShippingChoice>> {
    cart.details.shipping_method = None;
    let priced = pricing::reprice(tx, context, cart, false)?;
    let totals = cart.details.totals.as_ref();
    let value = totals.map_or(0, |totals| totals.subtotal.minor() - totals.discount.minor());
    // As the quote has it: what is offered here is what is charged then.
    let offered = pricing::shipping_options(context, cart, &priced, Money::from_minor(value, cart.currency));
    let from = ships_from(tx, context, (cart, &priced), locations)?;
    Ok(choices(context, cart, offered, (locations, &from)))
}

/// Which locations would ship a cart, or hold its goods already; none where something of it is nowhere, or still to come. One
/// statement or two.
///
/// # Errors
/// What the database says.
fn ships_from(
    tx: &mut Tx,
    context: &Context,
    (cart, priced): (&Cart, &Priced),
    locations: &Locations,
) -> Result<Vec<LocationId>> {
    let holds = cart.state == CartState::Frozen && cart.details.frozen_until.is_some_and(|until| until > context.now);
    if holds {
        return stock::held_at(tx, cart.id);
    }
    let (needs, facts) = (service::needs(cart, priced), facts(tx, context, cart, priced, locations)?);
    match sourcing::find(tx, &needs, Sources::of(locations, &facts)) {
        Ok(plan) if plan.waits() => Ok(Vec::new()),
        Ok(plan) => Ok(plan.shares.iter().map(|share| share.location).collect()),
        Err(error) if matches!(error.code(), Code::OutOfStock | Code::LocationInactive) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The shipping methods of a cart with by when its goods arrive, as they are shipped from these locations.
fn choices(
    context: &Context,
    cart: &Cart,
    offered: Vec<ShippingOption>,
    (locations, from): (&Locations, &[LocationId]),
) -> Vec<ShippingChoice> {
    let (country, at) = (pricing::destination(context, cart, true), cart.details.occurred_at.unwrap_or(context.now));
    let choice = |option: ShippingOption| {
        let known = option.available && !from.is_empty();
        let promised = || promise::promise(context, (&option.code, country), (locations, from), at);
        ShippingChoice { delivery: if known { promised() } else { None }, option }
    };
    offered.into_iter().map(choice).collect()
}

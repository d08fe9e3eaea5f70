//! What an order tells of itself when it is decided anew where its goods come from.

use std::{collections::HashMap, sync::Arc};

use crate::{
    carts, customers,
    db::Tx,
    error::Result,
    kernel::{Country, Instant, Money},
    orders::{OrderDocument, OrderLine},
    pricing::engine,
    stock::{
        Locations,
        sourcing::{self, Facts, LineFacts},
    },
};

/// What is known of an order that was placed, or of one of its deliveries: what its cart had told. No statement, unless the live profile asks for the customer's
/// group.
///
/// # Errors
/// What the database says.
pub(super) fn of(
    tx: &mut Tx,
    now: Instant,
    (order, key): (&OrderDocument, Option<&str>),
    locations: &Locations,
) -> Result<Facts> {
    let live = locations.profile_of(order.channel_id);
    let asks = live.is_some_and(|profile| profile.document.asks_for_groups());
    let customer_group = match order.customer_id.filter(|_| asks) {
        Some(customer) => customers::standing(tx, customer)?.group,
        None => None,
    };
    let delivery = order.delivery(key);
    let pickup = delivery.and_then(|delivery| delivery.pickup.as_ref());
    let address = delivery.and_then(|delivery| delivery.address.as_ref());
    let address = address.or(order.billing_address.as_ref().filter(|_| pickup.is_none()));
    let own: Option<HashMap<i32, i64>> = delivery
        .filter(|delivery| !delivery.lines.is_empty())
        .map(|delivery| delivery.lines.iter().map(|line| (line.line_no, line.quantity)).collect());
    let quantity = |line: &OrderLine| match &own {
        Some(own) => own.get(&line.line_no).copied().unwrap_or_default(),
        None => line.quantities.quantity,
    };
    let cost = |line: &OrderLine| {
        let whole = line.subtotal.minor() - line.discount.minor();
        engine::share(whole, 0, quantity(line), line.quantities.quantity)
    };
    let country = delivery.and_then(carts::Delivery::country).or_else(|| address.map(|address| address.country));
    let line =
        |line: &OrderLine| (line.line_no, LineFacts { grams: line.weight_grams, metadata: line.metadata.clone() });
    Ok(Facts {
        channel: order.channel_id,
        country: country.unwrap_or(Country::DEFAULT),
        postcode: address.map(|address| address.postcode.to_string()),
        value: Some(Money::from_minor(order.lines.iter().map(cost).fold(0, i64::saturating_add), order.currency)),
        customer_group,
        tags: sourcing::tags(&order.metadata),
        at: now,
        keeps_until: order.keeps_until(now),
        lines: Arc::new(order.lines.iter().map(line).collect()),
        weight_grams: order.lines.iter().map(|line| line.weight_grams * quantity(line)).sum(),
        only: pickup.map(|pickup| pickup.location_id),
        further: Vec::new(),
    })
}

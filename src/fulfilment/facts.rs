//! What an order tells of itself when it is decided anew where its goods come from.

use std::collections::HashMap;

use crate::{
    customers,
    db::Tx,
    error::Result,
    kernel::{Country, Instant, Money},
    orders::{OrderDocument, OrderLine},
    stock::{
        Locations,
        sourcing::{self, Facts, LineFacts},
    },
};

/// What is known of an order that was placed: what its cart had told. No statement, unless the live profile asks for the customer's
/// group.
///
/// # Errors
/// What the database says.
pub(super) fn of(tx: &mut Tx, now: Instant, order: &OrderDocument, locations: &Locations) -> Result<Facts> {
    let live = locations.profile_of(order.channel_id);
    let asks = live.is_some_and(|profile| profile.document.asks_for_groups());
    let customer_group = match order.customer_id.filter(|_| asks) {
        Some(customer) => customers::standing(tx, customer)?.group,
        None => None,
    };
    let address = order.deliveries.first().and_then(|delivery| delivery.address.as_ref());
    let address = address.or(order.billing_address.as_ref());
    let line =
        |line: &OrderLine| (line.line_no, LineFacts { grams: line.weight_grams, metadata: line.metadata.clone() });
    Ok(Facts {
        channel: order.channel_id,
        country: address.map_or(Country::DEFAULT, |address| address.country),
        postcode: address.map(|address| address.postcode.to_string()),
        value: Some(Money::from_minor(order.subtotal.minor() - order.discount.minor(), order.currency)),
        customer_group,
        tags: sourcing::tags(&order.metadata),
        at: now,
        lines: order.lines.iter().map(line).collect::<HashMap<_, _>>(),
        weight_grams: order.lines.iter().map(|line| line.weight_grams * line.quantities.quantity).sum(),
    })
}

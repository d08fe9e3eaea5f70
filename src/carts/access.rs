//! Who may open a cart, and the order that came of it.

use super::model::Cart;
use crate::{
    customers,
    db::Tx,
    error::Result,
    http::seal::{self, Secret},
    kernel::{
        Actor, Scope,
        ids::{CartId, ChannelId, CustomerId},
    },
};

/// The secret that opens a guest's cart. It is derived, not kept: whoever reads the database can not open carts with it.
#[must_use]
pub fn cart_token(secret: &Secret, cart: CartId) -> String {
    secret.token(seal::CART, &cart.to_string())
}

/// Whether an actor may open a cart: its customer, a guest with its token, or staff of its channel.
///
/// A cart that belongs to a customer is not opened by its old guest token any more.
///
/// # Errors
/// What the database says.
pub fn can_open(tx: &mut Tx, actor: &Actor, secret: &Secret, cart: &Cart) -> Result<bool> {
    owns(tx, actor, secret, &[Scope::OrdersWrite], (cart.channel, cart.customer, Some(cart.id)))
}

/// Whether an actor may see a cart: whoever may open it, and staff who may only read.
///
/// # Errors
/// What the database says.
pub(super) fn can_see(tx: &mut Tx, actor: &Actor, secret: &Secret, cart: &Cart) -> Result<bool> {
    let scopes = [Scope::OrdersRead, Scope::OrdersWrite];
    owns(tx, actor, secret, &scopes, (cart.channel, cart.customer, Some(cart.id)))
}

/// Whether an actor may see an order on the store surface: its customer, or a guest with the token of the cart it was.
///
/// # Errors
/// What the database says.
pub fn may_see_order(
    tx: &mut Tx,
    actor: &Actor,
    secret: &Secret,
    channel: ChannelId,
    customer: Option<CustomerId>,
    cart: Option<CartId>,
) -> Result<bool> {
    owns(tx, actor, secret, &[Scope::OrdersWrite], (channel, customer, cart))
}

/// Whether it is a shopper's own; for staff, whether they hold one of the scopes for its channel.
fn owns(
    tx: &mut Tx,
    actor: &Actor,
    secret: &Secret,
    scopes: &[Scope],
    (channel, customer, cart): (ChannelId, Option<CustomerId>, Option<CartId>),
) -> Result<bool> {
    if !actor.sees_channel(channel) {
        return Ok(false);
    }
    let Actor::Shopper(shopper) = actor else { return Ok(scopes.iter().any(|scope| actor.holds(*scope))) };
    match (customer, &shopper.identity) {
        (Some(customer), Some(identity)) => Ok(customers::find(tx, identity)? == Some(customer)),
        (Some(_), None) => Ok(false),
        (None, _) => {
            let token = shopper.cart_token.as_deref().unwrap_or_default();
            Ok(cart.is_some_and(|cart| secret.is_token(seal::CART, &cart.to_string(), token)))
        }
    }
}

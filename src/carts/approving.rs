//! Carts that wait until others of the company have approved them: frozen meanwhile, with their stock reserved.

use super::{
    model::{Approved, Cart, CartCommand, CartState},
    service, store,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    kernel::{Instant, ids::CartId},
    pricing::promotions,
    stock,
};

pub use super::service::{Who, freeze_until};

/// Locks a cart, whoever asks, while somebody decides about it.
///
/// # Errors
/// `not_found`.
pub fn lock(tx: &mut Tx, id: CartId) -> Result<Cart> {
    store::lock(tx, id)?.ok_or_else(|| Error::not_found("cart"))
}

/// Notes on a locked cart that it is approved as it stands.
///
/// # Errors
/// What the database says.
pub fn approve(tx: &mut Tx, now: Instant, mut cart: Cart, approved: Approved) -> Result<()> {
    cart.details.approved = Some(approved);
    store::update(tx, now, &mut cart, None)
}

/// Gives a locked cart back to its buyer that nobody approves: its prices and stock are not kept any more. Nothing happens where it is not
/// frozen.
///
/// # Errors
/// What the database says.
pub fn let_go(tx: &mut Tx, now: Instant, mut cart: Cart) -> Result<()> {
    if cart.state != CartState::Frozen {
        return Ok(());
    }
    cart.state = cart.state.apply(CartCommand::Edit)?;
    cart.details.approved = None;
    service::thaw(&mut cart);
    store::update(tx, now, &mut cart, None)?;
    promotions::release(tx, cart.id)?;
    stock::release(tx, now, cart.id)
}

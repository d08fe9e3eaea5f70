//! Taking what is personal out of carts.

use super::{
    model::{CartDetails, CartState},
    store,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    kernel::{
        Instant,
        ids::{CartId, CustomerId},
        text::Email,
    },
};

/// A customer's carts, with those that have gone into them.
///
/// # Errors
/// What the database says.
pub fn of_customer(tx: &mut Tx, customer: CustomerId) -> Result<Vec<CartId>> {
    let own = store::of_customer(tx, customer)?;
    with_merged(tx, own)
}

/// Carts, with those that have gone into them.
///
/// # Errors
/// What the database says.
pub fn with_merged(tx: &mut Tx, mut carts: Vec<CartId>) -> Result<Vec<CartId>> {
    if carts.is_empty() {
        return Ok(carts);
    }
    let merged = store::merged(tx, &carts)?;
    carts.extend(merged.into_iter().flat_map(|(_, merged)| merged));
    carts.sort_unstable();
    carts.dedup();
    Ok(carts)
}

/// Of the next `limit` carts after one of them, those of guests with an e-mail address, and the last that was looked at;
/// `None` when there was none.
///
/// # Errors
/// What the database says.
pub fn of_guest_after(
    tx: &mut Tx,
    email: &Email,
    after: Option<CartId>,
    limit: i64,
) -> Result<(Vec<CartId>, Option<CartId>)> {
    let wanted = email.folded();
    let seen = store::addresses_after(tx, after, limit)?;
    let last = seen.last().map(|(id, ..)| *id);
    let own = seen.into_iter().filter(|(_, address, customer)| customer.is_none() && address.as_ref() == Some(&wanted));
    Ok((own.map(|(id, ..)| id).collect(), last))
}

/// Erases the personal data of carts: one statement to read and lock them, one to write. Gives how many had any. An open
/// one stays open and empty of them; nothing is told of its abandonment.
///
/// # Errors
/// `state_conflict` when one is being paid.
pub fn erase(tx: &mut Tx, now: Instant, carts: &[CartId]) -> Result<usize> {
    let locked = store::lock_many(tx, carts)?;
    if locked.iter().any(|cart| cart.state == CartState::Completing) {
        return Err(Error::conflict("a cart is being paid: try again when that has ended"));
    }
    let bare: Vec<(CartId, CartDetails)> =
        locked.into_iter().filter_map(|cart| Some((cart.id, bare(cart.details)?))).collect();
    if !bare.is_empty() {
        store::erase(tx, now, &bare)?;
    }
    Ok(bare.len())
}

/// The same without what is personal; `None` when nothing is.
fn bare(mut details: CartDetails) -> Option<CartDetails> {
    let noted = !details.metadata.is_empty() || details.lines.iter().any(|line| !line.metadata.is_empty());
    let addressed = details.billing_address.is_some() || details.shipping_address.is_some();
    if details.email.is_none() && !details.marketing_consent && !addressed && !noted {
        return None;
    }
    (details.email, details.billing_address, details.shipping_address) = (None, None, None);
    details.marketing_consent = false;
    details.metadata.clear();
    details.lines.iter_mut().for_each(|line| line.metadata.clear());
    Some(details)
}

//! Taking what is personal out of carts.

use super::{
    deliveries,
    model::{Cart, CartDetails, CartState},
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
    pricing::tax,
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

/// The next `limit` carts after one of them that are a guest's with this e-mail address.
///
/// # Errors
/// What the database says.
pub fn of_guest_after(tx: &mut Tx, email: &Email, after: Option<CartId>, limit: i64) -> Result<Vec<CartId>> {
    store::of_guest(tx, &email.folded(), after, limit)
}

/// Erases the personal data of carts: one statement to read and lock them, one to write. Gives how many had any. An open
/// one stays open and empty of them; nothing is told of its abandonment.
///
/// # Errors
/// `state_conflict` when one is being paid.
pub fn erase(tx: &mut Tx, now: Instant, carts: &[CartId]) -> Result<usize> {
    let locked = store::lock_many(tx, carts)?;
    erase_locked(tx, now, locked)
}

/// The same for those of the carts that are a guest's with this e-mail address now that they are locked. Gives these, and how
/// many had anything personal.
///
/// # Errors
/// `state_conflict` when one is being paid.
pub fn erase_of_guest(tx: &mut Tx, now: Instant, email: &Email, carts: &[CartId]) -> Result<(Vec<CartId>, usize)> {
    let wanted = email.folded();
    let mut locked = store::lock_many(tx, carts)?;
    locked.retain(|cart| {
        cart.customer.is_none() && cart.details.email.as_ref().map(Email::folded).as_ref() == Some(&wanted)
    });
    let own = locked.iter().map(|cart| cart.id).collect();
    Ok((own, erase_locked(tx, now, locked)?))
}

fn erase_locked(tx: &mut Tx, now: Instant, locked: Vec<Cart>) -> Result<usize> {
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
    let further = details.deliveries.iter().any(|delivery| delivery.address.is_some());
    let addressed = further || details.billing_address.is_some() || details.shipping_address.is_some();
    let explained = details.totals.as_mut().is_some_and(tax::forget_numbers);
    let numbered = details.vat_id.is_some() || explained;
    let called = deliveries::forget_keys(&mut details);
    if details.email.is_none() && !details.marketing_consent && !addressed && !noted && !numbered && !called {
        return None;
    }
    // It may name the number.
    details.problems.retain(|problem| problem.code != "vat_id_unconfirmed");
    (details.email, details.billing_address, details.shipping_address) = (None, None, None);
    details.deliveries.iter_mut().for_each(|delivery| delivery.address = None);
    (details.marketing_consent, details.vat_id) = (false, None);
    // What it lacks now is found when it is priced: it must not be paid as it was promised.
    details.frozen_until = None;
    details.metadata.clear();
    details.lines.iter_mut().for_each(|line| line.metadata.clear());
    Some(details)
}

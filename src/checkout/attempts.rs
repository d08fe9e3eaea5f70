//! Attempts to pay as staff look at them, and close those that failed.

use crate::{
    carts,
    db::Tx,
    error::{Code, Error, Result},
    kernel::{
        Actor, Instant,
        ids::{OrderId, PaymentId},
    },
    orders,
    payments::{self, Payment, Resolution},
};

/// A payment that the actor may see: of a cart, or an order, of their channels.
///
/// # Errors
/// `not_found`.
pub(super) fn visible(tx: &mut Tx, actor: &Actor, id: PaymentId) -> Result<Payment> {
    let missing = || Error::not_found("payment");
    let payment = payments::get(tx, id)?.ok_or_else(missing)?;
    let channels = carts::channels(tx, &[payment.cart_id])?;
    let channel = match channels.get(&payment.cart_id) {
        Some(channel) => Some(*channel),
        // One for an order that came of no cart is kept under one that the order names.
        None => {
            let of = OrderId::from_bytes(*payment.cart_id.bytes());
            orders::heads(tx, &[of])?.get(&of).map(|head| head.channel_id)
        }
    };
    let seen = channel.map_or(actor.channels().is_none(), |id| actor.sees_channel(id));
    if seen { Ok(payment) } else { Err(missing()) }
}

/// Up to so many payments that somebody may mean with a reference or an id, of those that the actor may see.
///
/// # Errors
/// What the database says.
pub fn quoted_payments(tx: &mut Tx, actor: &Actor, text: &str, limit: i64) -> Result<Vec<Payment>> {
    let mut found = Vec::new();
    for payment in payments::called(tx, text, limit)? {
        match visible(tx, actor, payment.id) {
            Ok(payment) => found.push(payment),
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Notes what somebody has found out about a payment that failed.
///
/// # Errors
/// `not_found`; `state_conflict` when it is not failed, or was resolved before.
pub(super) fn resolve(tx: &mut Tx, now: Instant, actor: &Actor, id: PaymentId, reason: &str) -> Result<Payment> {
    visible(tx, actor, id)?;
    let resolution = Resolution { reason: Some(reason.to_owned()), by: actor.label(), at: now };
    payments::resolve(tx, now, id, &resolution)
}

//! Shares of payments: what of an order's money goes over to the order that is split off.
//!
//! A share is a payment of its own, and what it has is taken off the payment that it is of: of the two each counts what is captured, given back
//! and disputed of its part, under its own guard, so that together they never come to more than the one did. The provider knows the first of
//! them only, and is asked about all of them as one ([`whole`]).

use super::{
    model::{NewPayment, Payment, PaymentState, PaymentView},
    store,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    kernel::{
        Instant, Money,
        ids::{CartId, OrderId, PaymentId},
    },
};

/// A part of a payment that goes over to another order, in minor units.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The payment that it is of.
    pub of: Payment,
    /// What is promised and not taken.
    pub promised: i64,
    /// What was taken.
    pub captured: i64,
}

impl Share {
    /// The payment that the share becomes.
    #[must_use]
    pub fn payment(&self, now: Instant, id: PaymentId, order: OrderId) -> Payment {
        let money = |minor| Money::from_minor(minor, self.of.amount.currency());
        let nothing = money(0);
        Payment {
            id,
            // It came of no cart.
            cart_id: CartId::from_bytes(*order.bytes()),
            order_id: Some(order),
            our_key: format!("share:{id}"),
            state: if self.promised > 0 { PaymentState::Authorised } else { PaymentState::Captured },
            amount: money(self.promised + self.captured),
            captured: money(self.captured),
            refunded: nothing,
            voided: nothing,
            capture_pending: nothing,
            refund_pending: nothing,
            void_pending: nothing,
            disputed: nothing,
            attempt: 1,
            lease_until: None,
            idempotency_id: None,
            ending: None,
            details: super::PaymentDetails {
                instrument: self.of.details.instrument.clone(),
                reminded: self.of.details.reminded,
                ..super::PaymentDetails::default()
            },
            version: 1,
            created_at: now,
            updated_at: now,
            parent: Some(self.of.id),
            root: Some(self.of.root.unwrap_or(self.of.id)),
            ..self.of.clone()
        }
    }

    /// The same as the order's document has it.
    #[must_use]
    pub fn view(&self, now: Instant, id: PaymentId, order: OrderId) -> PaymentView {
        PaymentView::from(&self.payment(now, id, order))
    }
}

/// Takes a share off its payment and opens the payment that it is. Call it under the lock of the first order, behind the second's being placed.
///
/// # Errors
/// The transaction is run again where so much is not left any more.
pub fn share(tx: &mut Tx, now: Instant, share: &Share, id: PaymentId, order: OrderId) -> Result<()> {
    if !store::take_share(tx, now, share.of.id, (share.promised, share.captured))? {
        return Err(Error::overtaken("a payment"));
    }
    let one = share.payment(now, id, order);
    let new = NewPayment {
        id,
        cart: one.cart_id,
        order: one.order_id,
        provider: one.provider.clone(),
        our_key: one.our_key.clone(),
        amount: one.amount,
        state: one.state,
        provider_ref: one.provider_ref.clone(),
        lease_until: None,
        idempotency_id: None,
        details: one.details.clone(),
        expires_at: one.expires_at,
        due_at: one.due_at,
    };
    store::insert(tx, now, &[new])?;
    store::note_share(tx, &one)
}

/// A payment with all its shares, the one that the provider knows first.
///
/// # Errors
/// What the database says.
pub fn family(tx: &mut Tx, payment: &Payment) -> Result<Vec<Payment>> {
    store::family(tx, payment.root.unwrap_or(payment.id))
}

/// A payment as its provider knows it: with the sums of all its shares. One that was never shared is as it is.
///
/// # Errors
/// What the database says.
pub fn whole(tx: &mut Tx, payment: &Payment) -> Result<Payment> {
    let all = family(tx, payment)?;
    let Some(first) = all.first().filter(|_| all.len() > 1) else { return Ok(payment.clone()) };
    let sum = |of: fn(&Payment) -> Money| {
        Money::from_minor(all.iter().map(|one| of(one).minor()).fold(0, i64::saturating_add), first.amount.currency())
    };
    let open = all.iter().any(|one| one.state == PaymentState::Authorised);
    Ok(Payment {
        state: if open { PaymentState::Authorised } else { first.state },
        amount: sum(|one| one.amount),
        captured: sum(|one| one.captured),
        refunded: sum(|one| one.refunded),
        voided: sum(|one| one.voided),
        capture_pending: sum(|one| one.capture_pending),
        refund_pending: sum(|one| one.refund_pending),
        void_pending: sum(|one| one.void_pending),
        disputed: sum(|one| one.disputed),
        ..first.clone()
    })
}

/// Whether several orders can take their parts of one promise of a provider. A card at Stripe may take a single capture, with which the rest of
/// its promise ends, and which it is nobody knows before.
#[must_use]
pub fn is_divisible(provider: &str) -> bool {
    provider != super::STRIPE
}

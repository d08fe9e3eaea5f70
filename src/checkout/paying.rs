//! What pays an order: the payment of the method that was chosen, and before it a payment for each part that a gift card or store
//! credit pays.

use serde_json::json;

use super::{
    model::CompleteRequest,
    place::{Prepared, Tickets},
    service::Checkout,
};
use crate::{
    carts::{self, Cart},
    db::Tx,
    error::{Code, Error, Result},
    http::idempotency::Key,
    kernel::{Instant, Money, ids::OrderId},
    payments::{NewPayment, Payment, PaymentDetails, PaymentState, Provider},
    pricing::promotions,
    risk::Recorded,
    stored_value::{Part, ValueUse},
};

/// What gift cards and store credit pay of a cart that costs `total`, found anew: what others have spent meanwhile is not there.
///
/// # Errors
/// `stored_value_short` when that is less than the customer was shown and they did not say that they know it; `total_changed` when
/// what is left is not what they expect.
pub(super) fn parts(
    tx: &mut Tx,
    checkout: &Checkout,
    request: &CompleteRequest,
    (cart, shown): (&Cart, &[ValueUse]),
) -> Result<Vec<Part>> {
    let uses = carts::paid_with(tx, &checkout.context, cart)?;
    let sum = |uses: &[ValueUse]| uses.iter().map(|one| one.amount.minor()).sum::<i64>();
    let due = Money::from_minor(cart.total() - sum(&uses), cart.currency);
    match request.expected_due {
        Some(expected) if expected != due => {
            let detail = format!("{due} are left to pay, not {expected}");
            return Err(Error::problem(Code::TotalChanged, detail).at("/expected_due").with("due", json!(due)));
        }
        None if sum(&uses) < sum(shown).min(cart.total()) => {
            let detail = format!("gift cards and store credit pay less than was shown: {due} are left to pay");
            return Err(Error::problem(Code::StoredValueShort, detail).with("due", json!(due)));
        }
        _ => {}
    }
    let paying = uses.iter().filter(|one| one.amount.minor() > 0);
    let part =
        |(one, payment): (&ValueUse, _)| Part { payment, value: one.id, kind: one.kind, amount: one.amount.minor() };
    Ok(paying.zip(checkout.tickets.parts).map(part).collect())
}

/// What parts pay together, in minor units.
pub(super) fn paid_by(parts: &[Part]) -> i64 {
    parts.iter().map(|part| part.amount).sum()
}

/// The payment of the chosen method.
pub(super) fn of_method(
    checkout: &Checkout,
    key: Option<&Key>,
    request: &CompleteRequest,
    provider: &dyn Provider,
    amount: Money,
    Prepared { cart, uses, parts, risk, .. }: &Prepared,
) -> NewPayment {
    let immediate = provider.is_immediate();
    let chosen = request.payment.as_ref();
    let text = |text: Option<&str>| text.map(str::to_owned);
    let mut memory = json!({"actor": checkout.actor.label(), "promotions": promotions::promotions_of(uses)});
    if let Some(members) = memory.as_object_mut().filter(|_| !parts.is_empty()) {
        members.insert("parts".to_owned(), json!(parts));
    }
    if let (Some(members), Some(risk)) = (memory.as_object_mut(), risk) {
        members.insert("risk".to_owned(), json!(risk));
    }
    NewPayment {
        id: checkout.tickets.payment,
        cart: cart.id,
        order: immediate.then_some(checkout.tickets.order),
        provider: provider.code().to_owned(),
        our_key: checkout.tickets.payment.to_string(),
        amount,
        state: if immediate { PaymentState::Authorised } else { PaymentState::Pending },
        provider_ref: None,
        lease_until: (!immediate).then(|| checkout.context.now.plus_seconds(checkout.lease_seconds)),
        idempotency_id: key.filter(|_| !immediate).map(|key| key.id),
        expires_at: None,
        due_at: terms_begin(checkout, immediate),
        details: PaymentDetails {
            instrument: text(chosen.and_then(|chosen| chosen.instrument.as_deref())),
            return_url: text(chosen.and_then(|chosen| chosen.return_url.as_deref())),
            occurred_at: cart.details.occurred_at,
            checkout: memory,
            ..PaymentDetails::default()
        },
    }
}

/// The parts that an attempt to pay was begun with.
pub(super) fn parts_of(payment: &Payment) -> Result<Vec<Part>> {
    match payment.details.checkout.get("parts") {
        Some(parts) => Ok(serde_json::from_value(parts.clone())?),
        None => Ok(Vec::new()),
    }
}

/// What was found of the risk of an attempt to pay when it was begun.
pub(super) fn risk_of(payment: &Payment) -> Result<Option<Recorded>> {
    let found = payment.details.checkout.get("risk").cloned();
    Ok(found.map(serde_json::from_value).transpose()?)
}

/// The payments that parts become with their order.
pub(super) fn of_parts(tickets: &Tickets, Prepared { cart, parts, .. }: &Prepared) -> Vec<NewPayment> {
    parts.iter().map(|part| of_part(part, cart, tickets.order)).collect()
}

fn of_part(part: &Part, cart: &Cart, order: OrderId) -> NewPayment {
    NewPayment {
        id: part.payment,
        cart: cart.id,
        order: Some(order),
        provider: part.kind.as_str().to_owned(),
        our_key: part.payment.to_string(),
        amount: Money::from_minor(part.amount, cart.currency),
        state: PaymentState::Authorised,
        provider_ref: Some(part.value.to_string()),
        lease_until: None,
        idempotency_id: None,
        expires_at: None,
        due_at: None,
        details: PaymentDetails { occurred_at: cart.details.occurred_at, ..PaymentDetails::default() },
    }
}

/// A payment as the database has it after it was opened, without reading it back.
pub(super) fn opened(new: &NewPayment, now: Instant) -> Payment {
    let zero = Money::zero(new.amount.currency());
    Payment {
        id: new.id,
        cart_id: new.cart,
        order_id: new.order,
        provider: new.provider.clone(),
        our_key: new.our_key.clone(),
        provider_ref: new.provider_ref.clone(),
        state: new.state,
        amount: new.amount,
        captured: zero,
        refunded: zero,
        voided: zero,
        capture_pending: zero,
        refund_pending: zero,
        void_pending: zero,
        attempt: 1,
        lease_until: new.lease_until,
        idempotency_id: new.idempotency_id,
        details: new.details.clone(),
        version: 1,
        created_at: now,
        updated_at: now,
        ending: None,
        disputed: zero,
        expires_at: new.expires_at,
        due_at: new.due_at,
        parent: None,
        root: None,
    }
}

/// When somebody has to look whether the money of a payment by hand has come, where the channel has terms for that.
fn terms_begin(checkout: &Checkout, immediate: bool) -> Option<Instant> {
    let terms = checkout.context.channel.settings.prepayment.as_ref().filter(|_| immediate)?;
    terms.next_at(checkout.context.now, 0)
}

//! What an amendment adds to an order on account: its company owes that too, within what it may, decided by the one row of its credit.

use super::{confirm::Ids, look};
use crate::{
    credit::{self, Claim, ON_ACCOUNT, Taken},
    db::Tx,
    error::Result,
    fulfilment,
    kernel::{
        Actor, Instant, Money,
        ids::{AmendmentId, EventId},
    },
    orders::{self, OrderDocument, holds::OrderHoldKind},
    payments::{self, NewPayment, PaymentDetails, PaymentState, PaymentView},
};

/// Puts what is owed beside what is promised on the account of the company that owes the order already, as a payment of its own: no more than
/// is `added`, in minor units, for what was given back out of goodwill is not owed again. Above the limit, as far as the company is let, the
/// order is held. Nothing happens with orders that are paid otherwise.
///
/// # Errors
/// `credit_exceeded` where too little of the company's credit is left; `payment_method_unavailable` where it has none any more.
pub(super) fn more(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    ids: &Ids,
    (mut order, amendment, added): (OrderDocument, AmendmentId, i64),
) -> Result<OrderDocument> {
    if added <= 0 || !look::on_account(&order) {
        return Ok(order);
    }
    let short = fulfilment::uncovered(tx, now, &order)?.min(added);
    if short <= 0 {
        return Ok(order);
    }
    let known = payments::of_order(tx, order.id)?;
    let Some(first) = known.iter().find(|payment| payment.provider == ON_ACCOUNT) else { return Ok(order) };
    let (payment, entry, held) = ids.account;
    let amount = Money::from_minor(short, order.currency);
    let claim = Claim {
        standing: credit::standing_of(tx, (now, order.net_days), first.id)?,
        payment,
        order: order.id,
        number: order.number.clone(),
        amount,
        up_to: None,
        askable: false,
    };
    let new = NewPayment {
        id: payment,
        cart: first.cart_id,
        order: Some(order.id),
        provider: ON_ACCOUNT.to_owned(),
        our_key: format!("amend:{amendment}"),
        amount,
        state: PaymentState::Authorised,
        provider_ref: None,
        lease_until: None,
        idempotency_id: None,
        details: PaymentDetails::default(),
        expires_at: None,
        due_at: None,
    };
    payments::open(tx, now, &new)?;
    let taken = credit::take(tx, (now, actor), entry, &claim)?;
    order.payments = payments::of_order(tx, order.id)?.iter().map(PaymentView::from).collect();
    order.settle();
    match taken {
        Taken::Within => Ok(order),
        Taken::Above(over) => hold(tx, now, held, (order, over)),
    }
}

/// Holds an order for credit, unless it is.
pub(super) fn hold(
    tx: &mut Tx,
    now: Instant,
    event: EventId,
    (order, over): (OrderDocument, Money),
) -> Result<OrderDocument> {
    let kind = OrderHoldKind::Credit;
    let is_held = |hold: &orders::OrderHold| hold.block.kind == kind && hold.block.holds_at(now);
    if order.state != orders::OrderState::Placed || order.holds.iter().any(is_held) {
        return Ok(order);
    }
    let new = orders::holds::NewOrderHold {
        kind,
        line_no: None,
        blocks: None,
        reason: format!("it was amended, and its company owes {over} more than it may"),
        owner: Some(orders::holds::CREDIT.to_owned()),
        expires_at: None,
    };
    orders::holds::hold(tx, now, &Actor::System("credit"), event, order.id, &new)
}

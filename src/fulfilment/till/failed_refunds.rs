//! Refunds that a provider had taken on and that come to nothing afterwards: the money is owed to the customer again.

use super::service::posting;
use crate::{
    db::Tx,
    error::Result,
    fulfilment::{Fresh, jobs, service::announce},
    kernel::{Actor, Instant, ids::PaymentOperationId},
    orders,
    payments::{self, Account, OperationState, RefundFailed, ledger},
};

/// A provider tells that a refund which was done has failed after all: it counts as not given back, is booked so, told as
/// `payment.operation_failed.v1`, and stands in `failed_payments` until somebody settles or confirms it. Heard twice it is one. False
/// while the refund is under way still: its end is written first.
///
/// # Errors
/// What the database says.
pub fn refund_failed(tx: &mut Tx, now: Instant, fresh: &Fresh, told: &RefundFailed) -> Result<bool> {
    let Ok(id) = told.our_key.parse::<PaymentOperationId>() else { return Ok(true) };
    let Some(operation) = payments::operation(tx, id)? else { return Ok(true) };
    let payment = payments::get(tx, operation.payment)?;
    let Some(order) = payment.and_then(|payment| payment.order_id) else { return Ok(true) };
    let (mut order, mut draw) = (orders::lock(tx, order)?, fresh.draw());
    if payments::operation(tx, id)?.is_some_and(|operation| operation.state == OperationState::Pending) {
        return Ok(false);
    }
    let Some(failed) = payments::unrefund(tx, now, id, draw.next(), &told.reason)? else { return Ok(true) };
    let booked = posting(&order, format!("refund_failed:{id}"), now, -failed.amount, Account::Refunded);
    ledger::post(tx, now, vec![booked])?;
    let payment = jobs::refresh(tx, &mut order, &failed)?;
    orders::save(tx, now, &mut order, &[], 1)?;
    let happened = vec![jobs::moved(&order, &payment, &failed)?];
    announce(tx, (now, now), &Actor::System("payments"), &order, &mut draw, happened)?;
    Ok(true)
}

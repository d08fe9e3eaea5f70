//! Money that is given away: what was sold, and its tax, stay as they are, and no credit note tells of it.

use super::{
    refunds::{self, RefundView, RefundedLine},
    targets::{self, GiveTo},
};
use crate::{
    db::Tx,
    error::Result,
    fulfilment::{
        ids::Draw,
        money::{self, Settling},
    },
    kernel::{Actor, Instant, ids::StoredValueId},
    orders::{self, LineMove, OrderDocument},
    payments::{self, Account, OperationKind, Payment, Posting, ledger},
};

/// That so much was captured and is left, in minor units.
///
/// # Errors
/// `refund_exceeded`.
pub(super) fn enough(tx: &mut Tx, order: &OrderDocument, amount: i64) -> Result<()> {
    let (_, missing) = targets::spread(&payments::of_order(tx, order.id)?, amount);
    targets::enough(order, amount, missing)
}

/// Books it, and begins to give it back. Gives what it went onto, where that was a stored value.
///
/// # Errors
/// `refund_exceeded`, `gift_card_refused`, `invalid_value` for where it is to go.
pub(super) fn give(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    order: &mut OrderDocument,
    draw: &mut Draw<'_>,
    (made, to): (&RefundView, &GiveTo),
) -> Result<Option<StoredValueId>> {
    let amount = made.amount.minor();
    let known = payments::of_order(tx, order.id)?;
    let (giving, _) = targets::spread(&known, amount);
    // What is given away is not owed: only so does the money that goes back leave the customer's account as it was.
    let posting = Posting {
        order: order.id,
        posting: format!("goodwill:{}", made.id),
        occurred_at: now,
        currency: order.currency,
        entries: vec![(Account::Receivable, -amount), (Account::WriteOff, amount)],
    };
    ledger::post(tx, now, vec![posting])?;
    // It stays sold: should it come back, all of its price is taken back, and what was given away of that is no goodwill any more.
    let given = |line: &RefundedLine| {
        let amount = line.amount.minor();
        LineMove { line_no: line.line_no, refunded: amount, goodwill: amount, ..LineMove::default() }
    };
    let moves: Vec<LineMove> = made.lines.iter().map(given).collect();
    if made.shipping.minor() > 0 {
        orders::give_shipping(tx, order, made.shipping.minor())?;
    }
    orders::save(tx, now, order, &moves, 1)?;
    if !to.is_otherwise() {
        let planned: Vec<(&Payment, OperationKind, i64)> =
            giving.iter().map(|(payment, part)| (payment, OperationKind::Refund, *part)).collect();
        money::begin(tx, (now, now), order, draw, &Settling::because(&made.reason), &planned)?;
    }
    refunds::told(tx, (now, actor), order, draw, made)?;
    if !to.is_otherwise() {
        return Ok(None);
    }
    targets::give(tx, (now, now), actor, order, draw, (to, &made.reason), &giving)
}

//! What is given back with a return beside the price of its pieces, and where it goes to.

use rust_decimal::Decimal;

use super::model::NewReturn;
use crate::{
    db::Tx,
    error::Result,
    fulfilment::money,
    kernel::{Instant, Money, ids::ReturnId},
    orders::OrderDocument,
    payments::{Account, Posting, ledger},
    pricing::engine::TaxedShare,
};

/// What of the order's shipping is given back with a return, by the rates of its tax; nothing where none is asked for, or none is left.
pub(super) fn shipping_back(order: &OrderDocument, new: &NewReturn) -> Vec<(Decimal, TaxedShare)> {
    let wanted = new.refund && new.settles.as_ref().is_some_and(|one| one.shipping);
    let Some(shipping) = order.shipping.as_ref().filter(|_| wanted && order.shipping_credited.minor() == 0) else {
        return Vec::new();
    };
    let share =
        |net: Money, tax: Money, gross: Money| TaxedShare { net: net.minor(), tax: tax.minor(), gross: gross.minor() };
    let parts = shipping.parts.iter().map(|part| (part.rate, share(part.net, part.tax, part.gross)));
    let mut shares: Vec<(Decimal, TaxedShare)> = parts.collect();
    if shares.is_empty() {
        shares.push((shipping.tax_rate, share(shipping.net, shipping.tax, shipping.gross)));
    }
    shares.retain(|(_, share)| share.gross > 0);
    shares
}

/// What the payments of an order have given back, in minor units.
pub(super) fn given_back(order: &OrderDocument) -> i64 {
    order.payments.iter().map(|payment| payment.refunded.minor()).sum()
}

/// Books that so much of what is taken back was given away before, in minor units: it was goodwill, and is not any more.
///
/// # Errors
/// What the database says.
pub(super) fn absorb(
    tx: &mut Tx,
    (now, at): (Instant, Instant),
    order: &OrderDocument,
    id: ReturnId,
    absorbed: i64,
) -> Result<()> {
    if absorbed == 0 {
        return Ok(());
    }
    let amount = absorbed.min(money::balance_of(tx, order.id, Account::WriteOff)?);
    if amount <= 0 {
        return Ok(());
    }
    let entries = vec![(Account::Receivable, amount), (Account::WriteOff, -amount)];
    let (posting, currency) = (format!("absorbed:{id}"), order.currency);
    ledger::post(tx, now, vec![Posting { order: order.id, posting, occurred_at: at, currency, entries }])
}

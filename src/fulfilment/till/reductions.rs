//! A lower price of what the customer has been given: less is owed, less was sold, less tax is due, and a credit note tells of it. What
//! was paid above it goes back; what is not paid yet is not asked for any more.
//!
//! A line bears it as money, not piece by piece: pieces that come back later take back their share of the first price, as long as so much of
//! the line is left, and the last ones what is left.

use super::{
    refunds::{self, RefundView, RefundedLine},
    targets::{GiveTo, give_owed},
};
use crate::{
    db::Tx,
    error::{Error, Result},
    fulfilment::{
        ids::Draw,
        money::{self, Settling},
    },
    kernel::{Actor, Instant, Money, ids::StoredValueId},
    orders::{self, LineMove, OrderDocument, OrderLine},
    payments::{OperationKind, Posting},
    pricing::engine::{TaxedShare, spread},
};

/// The lines of which the price is lowered, `sum` together in minor units: those that are `named`, and of what is beside these all of which
/// the customer has been given something, each by its part of what is left of their prices.
///
/// # Errors
/// `refund_exceeded` where less is left.
pub(super) fn of_lines(order: &OrderDocument, named: Vec<RefundedLine>, sum: i64) -> Result<Vec<RefundedLine>> {
    let by_name = |line_no: i32| named.iter().find(|one| one.line_no == line_no).map_or(0, |one| one.amount.minor());
    let left = |line: &OrderLine| (line.creditable() - line.refunded.minor() - by_name(line.line_no)).max(0);
    let rest = sum - named.iter().map(|one| one.amount.minor()).sum::<i64>();
    let weights: Vec<i64> = order.lines.iter().map(left).collect();
    let all: i64 = weights.iter().sum();
    if rest > all {
        return Err(refunds::exceeded("/amount", all, order)?);
    }
    let parts = spread(rest, &weights);
    let lower = order.lines.iter().zip(parts).filter_map(|(line, part)| {
        let amount = by_name(line.line_no) + part;
        (amount > 0).then(|| {
            let share = taxed(line, amount);
            let money = |minor| Money::from_minor(minor, order.currency);
            let pieces = Some(line.given().max(1));
            RefundedLine { line_no: line.line_no, amount: money(amount), pieces, tax: Some(money(share.tax)) }
        })
    });
    Ok(lower.collect())
}

/// So much of a line's price behind what was taken back of it before, with the tax in it. What was given away stayed sold.
fn taxed(line: &OrderLine, amount: i64) -> TaxedShare {
    money::part(line, line.refunded.minor() - line.goodwill.minor(), amount)
}

/// Books it, and begins to give back what was paid above. Gives what it went onto, where that was a stored value.
///
/// # Errors
/// `gift_card_refused`, `invalid_value` for where it is to go.
pub(super) fn give(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    order: &mut OrderDocument,
    draw: &mut Draw<'_>,
    (made, to): (&RefundView, &GiveTo),
) -> Result<Option<StoredValueId>> {
    let mut rates = Vec::with_capacity(made.lines.len());
    for one in &made.lines {
        let (gross, tax) = (one.amount.minor(), one.tax.map_or(0, |tax| tax.minor()));
        rates.push((order.line(one.line_no)?.tax_rate, TaxedShare { net: gross - tax, tax, gross }));
    }
    let sum = money::total(rates.iter().map(|(_, share)| *share));
    if sum.gross != made.amount.minor() {
        return Err(Error::internal("the lines of a lower price are not its amount"));
    }
    let lower =
        |one: &RefundedLine| LineMove { line_no: one.line_no, refunded: one.amount.minor(), ..LineMove::default() };
    let moves: Vec<LineMove> = made.lines.iter().map(lower).collect();
    orders::save(tx, now, order, &moves, 1)?;
    let posting: Posting = money::credit(order, format!("reduction:{}", made.id), now, sum);
    money::take_back(tx, now, order, &posting, &rates)?;
    let but = to.is_otherwise().then_some(OperationKind::Refund);
    money::settle(tx, (now, now), order, draw, &Settling { but, ..Settling::because(&made.reason) })?;
    refunds::told(tx, (now, actor), order, draw, made)?;
    let onto = match to.is_otherwise() {
        false => None,
        true => {
            let onto = give_owed(tx, (now, now), actor, order, draw, (to, &made.reason, sum.gross))?;
            money::settle_returns(tx, (now, now), order, draw, &Settling::because(&made.reason))?;
            onto
        }
    };
    orders::invoice_later(tx, now, order, draw.next())?;
    Ok(onto)
}

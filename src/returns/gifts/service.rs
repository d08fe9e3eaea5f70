//! Making gift receipts, and what they open.

use std::collections::BTreeSet;

use super::{
    model::{GiftLine, GiftReceipt, GiftReturn, GiftView},
    store,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    http::seal::Secret,
    kernel::{
        Actor, Instant,
        ids::{EventId, GiftReceiptId, OrderId},
    },
    orders::{self, OrderDocument},
    returns::{
        model::{RequestOrigin, ReturnReason},
        service::{self as requests, By, NewRequest},
    },
};

/// What the tokens of receipts are derived for: they open nothing else.
const PURPOSE: &str = "gift-receipt";

/// The token that is printed on a receipt.
pub(super) fn token(secret: &Secret, id: GiftReceiptId) -> String {
    format!("{id}.{}", secret.token(PURPOSE, &id.to_string()))
}

/// Notes that lines of an order are presents, all of them where none is named.
///
/// # Errors
/// `not_found`, `line_unknown`.
pub(super) fn mark(
    tx: &mut Tx,
    now: Instant,
    (id, order): (GiftReceiptId, OrderId),
    lines: &[i32],
) -> Result<GiftReceipt> {
    let order = orders::document(tx, order)?.ok_or_else(|| Error::not_found("order"))?;
    for (place, line_no) in lines.iter().enumerate() {
        order.line(*line_no).map_err(|error| error.at(format!("/lines/{place}")))?;
    }
    let lines: BTreeSet<i32> = lines.iter().copied().collect();
    let made = GiftReceipt { id, order_id: order.id, lines: lines.into_iter().collect(), created_at: now };
    store::insert(tx, &made)?;
    Ok(made)
}

/// What is printed on a receipt, and opens it.
#[derive(Debug, Clone)]
pub(super) struct Proof {
    pub order_number: String,
    pub token: String,
}

/// The order that a receipt is of, for whoever knows its number and the token.
///
/// # Errors
/// `not_found`, whichever of both is wrong.
fn opened(tx: &mut Tx, actor: &Actor, secret: &Secret, proof: &Proof) -> Result<(OrderDocument, GiftReceipt)> {
    let missing = || Error::not_found("gift receipt");
    let (id, mac) = proof.token.split_once('.').ok_or_else(missing)?;
    let id: GiftReceiptId = id.parse().map_err(|_| missing())?;
    if !secret.is_token(PURPOSE, &id.to_string(), mac) {
        return Err(missing());
    }
    let receipt = store::get(tx, id)?.ok_or_else(missing)?;
    let order = orders::document(tx, receipt.order_id)?.filter(|order| actor.sees_channel(order.channel_id));
    let order = order.filter(|order| order.number == proof.order_number).ok_or_else(missing)?;
    Ok((order, receipt))
}

/// What the holder of a receipt can send back, and has asked to.
///
/// # Errors
/// `not_found`; `gift_return_refused` where the channel takes no presents back.
pub(super) fn look(tx: &mut Tx, (now, actor): By<'_>, secret: &Secret, proof: &Proof) -> Result<GiftView> {
    let (order, receipt) = opened(tx, actor, secret, proof)?;
    let judged = requests::judge_gifts(tx, now, &order, ReturnReason::Gift)?;
    let line = |(line_no, quantity, verdict): (i32, i64, crate::returns::LineVerdict)| {
        let line = order.line(line_no)?;
        let (sku, name) = (line.sku.clone(), line.name.clone());
        Ok(GiftLine { line_no, sku, name, quantity, allowed: verdict.allowed, until: verdict.until })
    };
    let lines = judged.into_iter().filter(|(line_no, ..)| receipt.has(*line_no)).map(line).collect::<Result<_>>()?;
    let known = requests::of_order(tx, order.id)?;
    let of_gifts =
        known.iter().filter(|one| one.is_of_gift() && one.lines.iter().all(|line| receipt.has(line.line_no)));
    Ok(GiftView { order_number: order.number.clone(), lines, returns: of_gifts.map(GiftReturn::from).collect() })
}

/// Asks for presents to be taken back.
///
/// # Errors
/// As [`look`], and as any return: `line_unknown`, `quantity_exceeded`, `state_conflict`.
pub(super) fn ask(
    tx: &mut Tx,
    by: By<'_>,
    secret: &Secret,
    (fresh, proof): (&[EventId], &Proof),
    new: &NewRequest,
) -> Result<GiftReturn> {
    let (order, receipt) = opened(tx, by.1, secret, proof)?;
    for (place, line) in new.lines.iter().enumerate() {
        if !receipt.has(line.line_no) {
            let detail = format!("the receipt has no line {}", line.line_no);
            return Err(Error::problem(Code::LineUnknown, detail).at(format!("/lines/{place}/line_no")));
        }
    }
    debug_assert_eq!(new.origin, RequestOrigin::Gift);
    let made = requests::open(tx, by, fresh, order.id, new).map_err(orders::holds::untold)?;
    Ok(GiftReturn::from(&made))
}

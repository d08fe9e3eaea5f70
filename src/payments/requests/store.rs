//! The only file that touches `payment_requests`.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::model::{Details, PaymentRequest, PaymentRequestState};
use crate::{
    db::{Col, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, sql},
    error::{Error, Result},
    kernel::{
        Currency, Instant, Money,
        ids::{ChannelId, OrderId, PaymentId, PaymentRequestId},
    },
};

const READ: &str =
    "id, order_id, channel_id, state, currency, amount, payment_id, expires_at, doc, version, created_at, updated_at";

#[rustfmt::skip]
type Types = (UidSql, UidSql, UidSql, Text, Text, BigInt, Nullable<UidSql>, InstantSql, DocSql, BigInt, InstantSql, InstantSql);
#[rustfmt::skip]
type Row = (PaymentRequestId, OrderId, ChannelId, PaymentRequestState, Currency, i64, Option<PaymentId>, Instant, Doc<Details>, i64, Instant, Instant);

fn request(row: Row) -> PaymentRequest {
    let (id, order_id, channel_id, state, currency, amount, payment_id, expires_at, Doc(details), version, from, to) =
        row;
    let Details { message, asked_by } = details;
    let request = PaymentRequest {
        id,
        order_id,
        channel_id,
        state,
        amount: Money::from_minor(amount, currency),
        payment_id,
        message,
        asked_by,
        expires_at,
        version,
        created_at: from,
        updated_at: to,
        actions: Vec::new(),
    };
    request.possible()
}

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<PaymentRequest>> {
    Ok(query.load::<Types, Row>(tx)?.into_iter().map(request).collect())
}

/// Writes a request.
///
/// # Errors
/// What the database says.
pub fn insert(tx: &mut Tx, new: &PaymentRequest) -> Result<()> {
    let details = Details { message: new.message.clone(), asked_by: new.asked_by.clone() };
    sql(format!("INSERT INTO payment_requests ({READ}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(new.id)
        .bind(new.order_id)
        .bind(new.channel_id)
        .bind(new.state.as_str())
        .bind(new.amount.currency())
        .bind(new.amount.minor())
        .bind(new.payment_id)
        .bind(new.expires_at)
        .bind(Json::of(&details)?)
        .bind(new.version)
        .bind(new.created_at)
        .bind(new.updated_at)
        .execute(tx)?;
    Ok(())
}

fn get(tx: &mut Tx, id: PaymentRequestId, locked: bool) -> Result<PaymentRequest> {
    let lock = if locked { dialect::for_update(tx) } else { "" };
    let found = load(tx, sql(format!("SELECT {READ} FROM payment_requests WHERE id = ?{lock}")).bind(id))?.pop();
    found.ok_or_else(|| Error::not_found("payment request"))
}

/// A request as it was written.
///
/// # Errors
/// `not_found`.
pub fn find(tx: &mut Tx, id: PaymentRequestId) -> Result<PaymentRequest> {
    get(tx, id, false)
}

/// The same, locked until the transaction ends. The order is locked before.
///
/// # Errors
/// `not_found`.
pub fn lock(tx: &mut Tx, id: PaymentRequestId) -> Result<PaymentRequest> {
    get(tx, id, true)
}

/// The requests of an order, the oldest first.
///
/// # Errors
/// What the database says.
pub fn of_order(tx: &mut Tx, order: OrderId) -> Result<Vec<PaymentRequest>> {
    load(tx, sql(format!("SELECT {READ} FROM payment_requests WHERE order_id = ? ORDER BY id")).bind(order))
}

/// The requests of orders behind one of them, in the order of their ids, without who asks: for who gets everything that is kept of them.
///
/// # Errors
/// What the database says.
pub fn of_orders(
    tx: &mut Tx,
    orders: &[OrderId],
    after: Option<PaymentRequestId>,
    limit: i64,
) -> Result<Vec<PaymentRequest>> {
    let after = after.unwrap_or(PaymentRequestId::from_bytes([0; 16]));
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT {READ} FROM payment_requests WHERE order_id IN (SELECT wanted FROM {list}) AND id > ? ORDER BY id LIMIT ?"
    );
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    let mut found = load(tx, sql(query).bind(wanted).bind(after).bind(limit))?;
    found.iter_mut().for_each(|one| one.asked_by.clear());
    Ok(found)
}

/// Writes where a request stands now, as long as it is what was seen.
///
/// # Errors
/// An internal error when it is not: whoever calls has locked it.
pub fn change(
    tx: &mut Tx,
    now: Instant,
    seen: PaymentRequest,
    (state, payment): (PaymentRequestState, Option<PaymentId>),
) -> Result<PaymentRequest> {
    let update = "UPDATE payment_requests SET state = ?, payment_id = ?, version = version + 1, updated_at = ? \
                  WHERE id = ? AND version = ?";
    let update = sql(update).bind(state.as_str()).bind(payment).bind(now).bind(seen.id).bind(seen.version);
    if update.execute(tx)? != 1 {
        return Err(Error::internal(format!("payment request {} has changed under its lock", seen.id)));
    }
    let version = seen.version + 1;
    Ok(PaymentRequest { state, payment_id: payment, version, updated_at: now, ..seen }.possible())
}

/// Gives an open request another end, and with it another link.
///
/// # Errors
/// An internal error when it is not what was seen: whoever calls has locked it.
pub fn renew(tx: &mut Tx, now: Instant, seen: PaymentRequest, expires_at: Instant) -> Result<PaymentRequest> {
    let update = "UPDATE payment_requests SET expires_at = ?, version = version + 1, updated_at = ? \
                  WHERE id = ? AND version = ? AND state = 'open'";
    let update = sql(update).bind(expires_at).bind(now).bind(seen.id).bind(seen.version);
    if update.execute(tx)? != 1 {
        return Err(Error::internal(format!("payment request {} has changed under its lock", seen.id)));
    }
    Ok(PaymentRequest { expires_at, version: seen.version + 1, updated_at: now, ..seen }.possible())
}

/// Clears what was written to those who were to pay for orders, for it may name anybody, and asks them for nothing more.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, orders: &[OrderId]) -> Result<()> {
    for order in orders {
        let told = |one: &&PaymentRequest| one.message.is_some() || one.state == PaymentRequestState::Open;
        for one in of_order(tx, *order)?.iter().filter(told) {
            let bare = Details { message: None, asked_by: one.asked_by.clone() };
            let update = "UPDATE payment_requests SET doc = ?, state = CASE state WHEN 'open' THEN 'withdrawn' ELSE state END, \
                          version = version + 1 WHERE id = ?";
            let update = sql(update);
            update.bind(Json::of(&bare)?).bind(one.id).execute(tx)?;
        }
    }
    Ok(())
}

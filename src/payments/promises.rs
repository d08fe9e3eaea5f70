//! What providers have promised, as the ledgers of orders have it: on the account `authorised`, against `promised`. Part of the store.
//!
//! No money moves by it, so these postings are no part of the journal. They follow soon after: a promise is given, taken and let go in the
//! row of its payment, and what differs from what is booked of it is booked then, by whichever process sees it first.

use diesel::sql_types::{BigInt, Integer, Text};
use serde_json::json;

use super::ledger::{self, Account, Posting};
use crate::{
    db::{Col, InstantSql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Currency, Instant,
        ids::{OrderId, PaymentId},
    },
};

/// What a payment promises. That somebody will pay by hand, or on account, no provider has promised. The index of what is not booked has
/// the same words.
const PROMISED: &str = "CASE WHEN state = 'authorised' AND provider <> 'manual' AND provider <> 'on_account' \
     THEN amount - captured - voided ELSE 0 END";

/// Whether there are promises that the ledger does not have as they are: a cheap look before [`book`].
///
/// # Errors
/// What the database says.
pub fn any_unbooked(tx: &mut Tx) -> Result<bool> {
    let query = format!("SELECT 1 FROM payments WHERE order_id IS NOT NULL AND promise_booked <> {PROMISED} LIMIT 1");
    Ok(sql(query).first::<Integer, i32>(tx)?.is_some())
}

/// Books what up to so many payments promise more, or less, than is booked of them. How many were looked at: what somebody else changes at
/// this moment is left to the next time.
///
/// # Errors
/// What the database says.
pub fn book(tx: &mut Tx, now: Instant, limit: i64) -> Result<usize> {
    type Types = (UidSql, UidSql, Text, BigInt, BigInt, BigInt, InstantSql);
    type Row = (PaymentId, OrderId, Currency, i64, i64, i64, Instant);
    let skip = dialect::skip_locked(tx);
    let query = format!(
        "SELECT id, order_id, currency, version, promise_booked, {PROMISED}, updated_at FROM payments \
         WHERE order_id IS NOT NULL AND promise_booked <> {PROMISED} ORDER BY id LIMIT ?{skip}"
    );
    let found: Vec<Row> = sql(query).bind(limit).load::<Types, Row>(tx)?;
    if found.is_empty() {
        return Ok(0);
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid), ("promise", Col::Int)]);
    let update = format!("UPDATE payments SET promise_booked = list.promise FROM {list} WHERE id = list.wanted");
    let rows = found.iter().map(|(id, .., promise, _)| json!([id.hex(), promise])).collect();
    sql(update).bind(dialect::rows(rows)).execute(tx)?;
    let posting = |(id, order, currency, version, booked, promise, at): &Row| Posting {
        order: *order,
        posting: format!("promise:{id}:{version}"),
        occurred_at: *at,
        currency: *currency,
        entries: vec![(Account::Authorised, promise - booked), (Account::Promised, booked - promise)],
    };
    ledger::post_beside(tx, now, &found.iter().map(posting).collect::<Vec<_>>())?;
    Ok(found.len())
}

//! The only file that touches `withdrawals`.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::model::{WithdrawalDetails, WithdrawalDocument, WithdrawalState};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Actor, Instant,
        ids::{ChannelId, OrderId, WithdrawalId},
    },
};

const SELECTED: &str = "id, number, order_id, order_number, channel_id, state, doc, document, sha256, declared_at, confirmed_at, \
     refund_due_at, told, version, updated_at";

#[rustfmt::skip]
type Columns = (
    UidSql, Text, UidSql, Text, UidSql, Text, DocSql, Nullable<Text>, Nullable<Text>, InstantSql, Nullable<InstantSql>,
    Nullable<InstantSql>, BigInt, BigInt, InstantSql,
);
#[rustfmt::skip]
type Row = (
    WithdrawalId, String, OrderId, String, ChannelId, WithdrawalState, Doc<WithdrawalDetails>, Option<String>, Option<String>, Instant,
    Option<Instant>, Option<Instant>, i64, i64, Instant,
);

#[rustfmt::skip]
fn made(row: Row) -> WithdrawalDocument {
    let (
        id, number, order_id, order_number, channel_id, state, Doc(doc), document, sha256, declared_at, confirmed_at, refund_due_at,
        told, version, updated_at,
    ) = row;
    let WithdrawalDetails { name, email, locale, lines, whole, exempt, until, requests } = doc;
    WithdrawalDocument {
        id, number, order_id, order_number, channel_id, state, name, email, locale, lines, whole, exempt, until, requests, declared_at,
        confirmed_at, refund_due_at, document, sha256, told, version, updated_at,
    }
}

fn details(one: &WithdrawalDocument) -> Result<Json> {
    let WithdrawalDocument { name, email, locale, lines, whole, exempt, until, requests, .. } = one.clone();
    Json::of(&WithdrawalDetails { name, email, locale, lines, whole, exempt, until, requests })
}

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<WithdrawalDocument>> {
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(made).collect())
}

pub(super) fn insert(tx: &mut Tx, new: &WithdrawalDocument) -> Result<()> {
    sql(format!("INSERT INTO withdrawals ({SELECTED}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(new.id)
        .bind(new.number.as_str())
        .bind(new.order_id)
        .bind(new.order_number.as_str())
        .bind(new.channel_id)
        .bind(new.state.as_str())
        .bind(details(new)?)
        .bind(new.document.clone())
        .bind(new.sha256.clone())
        .bind(new.declared_at)
        .bind(new.confirmed_at)
        .bind(new.refund_due_at)
        .bind(new.told)
        .bind(new.version)
        .bind(new.updated_at)
        .execute(tx)
        .map(|_| ())
}

/// Writes a withdrawal at the version after the one it had; an acknowledgement that was given stays word for word. False when it has changed
/// since.
pub(super) fn update(tx: &mut Tx, one: &WithdrawalDocument) -> Result<bool> {
    let update = sql("UPDATE withdrawals SET state = ?, doc = ?, document = coalesce(document, ?), sha256 = coalesce(sha256, ?), \
                      confirmed_at = ?, refund_due_at = ?, told = ?, version = ?, updated_at = ? WHERE id = ? AND version = ?")
    .bind(one.state.as_str())
    .bind(details(one)?)
    .bind(one.document.clone())
    .bind(one.sha256.clone())
    .bind(one.confirmed_at)
    .bind(one.refund_due_at)
    .bind(one.told)
    .bind(one.version)
    .bind(one.updated_at)
    .bind(one.id)
    .bind(one.version - 1);
    Ok(update.execute(tx)? == 1)
}

pub(super) fn get(tx: &mut Tx, id: WithdrawalId) -> Result<Option<WithdrawalDocument>> {
    Ok(load(tx, sql(format!("SELECT {SELECTED} FROM withdrawals WHERE id = ?")).bind(id))?.pop())
}

/// The withdrawal with a number; letters may be small.
pub(super) fn numbered(tx: &mut Tx, number: &str) -> Result<Vec<WithdrawalDocument>> {
    let query = sql(format!("SELECT {SELECTED} FROM withdrawals WHERE number IN (?, ?) ORDER BY id DESC"));
    load(tx, query.bind(number).bind(number.to_uppercase()))
}

/// The withdrawals of orders behind one of them, in the order of their ids: one statement.
pub(super) fn of_orders(
    tx: &mut Tx,
    orders: &[OrderId],
    after: Option<WithdrawalId>,
    limit: i64,
) -> Result<Vec<WithdrawalDocument>> {
    let after = after.unwrap_or(WithdrawalId::from_bytes([0; 16]));
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT {SELECTED} FROM withdrawals WHERE order_id IN (SELECT wanted FROM {list}) AND id > ? ORDER BY id LIMIT ?"
    );
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    load(tx, sql(query).bind(wanted).bind(after).bind(limit))
}

/// The withdrawals of an order, the oldest first.
pub(super) fn of_order(tx: &mut Tx, order: OrderId) -> Result<Vec<WithdrawalDocument>> {
    load(tx, sql(format!("SELECT {SELECTED} FROM withdrawals WHERE order_id = ? ORDER BY id")).bind(order))
}

/// Those whose money is due before an instant, of the channels that the actor sees; the longest due first, after one of them.
pub(super) fn due(
    tx: &mut Tx,
    actor: &Actor,
    before: Instant,
    after: Option<(Instant, WithdrawalId)>,
    limit: i64,
) -> Result<Vec<WithdrawalDocument>> {
    let (mut text, mut binds) =
        (format!("SELECT {SELECTED} FROM withdrawals WHERE refund_due_at <= ?"), vec![Bind::from(before)]);
    if let Some(channels) = actor.channels() {
        let list = dialect::list(tx, &[("wanted", Col::Uid)]);
        text.push_str(&format!(" AND channel_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    if let Some((at, id)) = after {
        text.push_str(" AND (refund_due_at, id) > (?, ?)");
        binds.extend([at.into(), id.into()]);
    }
    text.push_str(" ORDER BY refund_due_at, id LIMIT ?");
    binds.push(limit.into());
    load(tx, sql(text).bind_all(binds))
}

/// A withdrawal that is carried out and of which nothing is to come back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsettled {
    pub id: WithdrawalId,
    pub order: OrderId,
    pub due: Instant,
}

/// Those that are carried out and of which no return request is open, the longest due first, after one of them.
pub(super) fn unsettled(tx: &mut Tx, after: Option<(Instant, WithdrawalId)>, limit: i64) -> Result<Vec<Unsettled>> {
    let mut text = "SELECT id, order_id, refund_due_at FROM withdrawals AS own WHERE refund_due_at IS NOT NULL \
                    AND state = 'carried_out' AND NOT EXISTS (SELECT 1 FROM return_requests AS r WHERE r.order_id = own.order_id \
                    AND r.withdrawal_id = own.id AND r.state NOT IN ('rejected', 'settled', 'cancelled', 'expired'))"
        .to_owned();
    let mut binds = Vec::new();
    if let Some((at, id)) = after {
        text.push_str(" AND (refund_due_at, id) > (?, ?)");
        binds.extend([Bind::from(at), id.into()]);
    }
    text.push_str(" ORDER BY refund_due_at, id LIMIT ?");
    binds.push(limit.into());
    let rows = sql(text).bind_all(binds).load::<(UidSql, UidSql, InstantSql), (WithdrawalId, OrderId, Instant)>(tx)?;
    Ok(rows.into_iter().map(|(id, order, due)| Unsettled { id, order, due }).collect())
}

/// Takes out of the withdrawals of an order who has declared them. The hash of what was acknowledged stays.
pub(super) fn erase(tx: &mut Tx, order: OrderId) -> Result<()> {
    for one in of_order(tx, order)? {
        let bare = WithdrawalDocument { name: None, email: None, ..one };
        let erase = sql("UPDATE withdrawals SET doc = ?, document = NULL WHERE id = ?");
        erase.bind(details(&bare)?).bind(bare.id).execute(tx)?;
    }
    Ok(())
}

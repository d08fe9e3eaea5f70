//! The only file that touches `bulk_jobs` and `bulk_items`.

use diesel::sql_types::{BigInt, Nullable, Text};

use super::model::{Bulk, BulkCommand, BulkItem, BulkState, ItemState, Kept};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Tx, UidSql, insert_many, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{BulkJobId, OrderId},
    },
};

/// An order, with its number, and the version that a second person approves it for.
pub(super) type Wanted = (OrderId, String, Option<i64>);

/// Writes it down with its orders. False, and nothing, where its token has started something already: whoever comes second waits for the
/// first here.
pub(super) fn insert(tx: &mut Tx, one: &Bulk, orders: &[Wanted]) -> Result<bool> {
    let insert = "INSERT INTO bulk_jobs (id, command, state, started_by, created_at, ended_at, doc, token_hash) \
                  VALUES (?, ?, ?, ?, ?, NULL, ?, ?) ON CONFLICT (token_hash) DO NOTHING";
    let inserted = sql(insert)
        .bind(one.id)
        .bind(one.command.as_str())
        .bind(one.state.as_str())
        .bind(one.started_by.as_str())
        .bind(one.created_at)
        .bind(Json::of(&one.kept)?)
        .bind(one.token_hash.clone())
        .execute(tx)?;
    if inserted != 1 {
        return Ok(false);
    }
    let columns = [
        ("bulk_id", Col::Uid),
        ("order_id", Col::Uid),
        ("number", Col::Text),
        ("state", Col::Text),
        ("order_version", Col::Int),
    ];
    let row = |(order, number, version): &Wanted| -> Vec<Bind> {
        vec![
            one.id.into(),
            (*order).into(),
            number.as_str().into(),
            ItemState::Waiting.as_str().into(),
            (*version).into(),
        ]
    };
    insert_many(tx, "bulk_items", &columns, orders.iter().map(row).collect()).map(|_| true)
}

/// What a token has started.
pub(super) fn started_by_token(tx: &mut Tx, hash: &str) -> Result<Option<BulkJobId>> {
    sql("SELECT id FROM bulk_jobs WHERE token_hash = ?").bind(hash).first::<UidSql, BulkJobId>(tx)
}

/// The version of an order that was approved, where a second person had to.
pub(super) fn version_of(tx: &mut Tx, (id, order): (BulkJobId, OrderId)) -> Result<Option<i64>> {
    let query = "SELECT order_version FROM bulk_items WHERE bulk_id = ? AND order_id = ?";
    Ok(sql(query).bind(id).bind(order).first::<Nullable<BigInt>, Option<i64>>(tx)?.flatten())
}

pub(super) fn get(tx: &mut Tx, id: BulkJobId) -> Result<Option<Bulk>> {
    type Types = (UidSql, Text, Text, Text, InstantSql, Nullable<InstantSql>, DocSql, Nullable<Text>);
    type Row = (BulkJobId, BulkCommand, BulkState, String, Instant, Option<Instant>, Doc<Kept>, Option<String>);
    let query =
        "SELECT id, command, state, started_by, created_at, ended_at, doc, token_hash FROM bulk_jobs WHERE id = ?";
    let row = sql(query).bind(id).first::<Types, Row>(tx)?;
    let bulk = |(id, command, state, started_by, created_at, ended_at, Doc(kept), token_hash): Row| Bulk {
        id,
        command,
        state,
        started_by,
        created_at,
        ended_at,
        kept,
        token_hash,
    };
    Ok(row.map(bulk))
}

/// How many orders are in which state.
pub(super) fn counts(tx: &mut Tx, id: BulkJobId) -> Result<Vec<(ItemState, i64)>> {
    sql("SELECT state, count(*) FROM bulk_items WHERE bulk_id = ? GROUP BY state")
        .bind(id)
        .load::<(Text, BigInt), (ItemState, i64)>(tx)
}

/// What has become of each order, in the order of their ids, after one of them.
pub(super) fn items(tx: &mut Tx, id: BulkJobId, after: Option<OrderId>, limit: i64) -> Result<Vec<BulkItem>> {
    type Types = (UidSql, Text, Text, Nullable<Text>, Nullable<Text>);
    type Row = (OrderId, String, ItemState, Option<String>, Option<String>);
    let after = after.unwrap_or(OrderId::from_bytes([0; 16]));
    let query = "SELECT order_id, number, state, code, detail FROM bulk_items WHERE bulk_id = ? AND order_id > ? \
                 ORDER BY order_id LIMIT ?";
    let rows = sql(query).bind(id).bind(after).bind(limit).load::<Types, Row>(tx)?;
    let item = |(order_id, number, state, code, detail): Row| BulkItem { order_id, number, state, code, detail };
    Ok(rows.into_iter().map(item).collect())
}

/// The next orders that wait, after one of them.
pub(super) fn waiting(tx: &mut Tx, id: BulkJobId, after: Option<OrderId>, limit: i64) -> Result<Vec<OrderId>> {
    let after = after.unwrap_or(OrderId::from_bytes([0; 16]));
    let query = "SELECT order_id FROM bulk_items WHERE bulk_id = ? AND state = 'waiting' AND order_id > ? \
                 ORDER BY order_id LIMIT ?";
    sql(query).bind(id).bind(after).bind(limit).load::<UidSql, OrderId>(tx)
}

/// Takes an order that waits: what becomes of it. False when somebody else has taken it.
pub(super) fn take(
    tx: &mut Tx,
    (id, order): (BulkJobId, OrderId),
    state: ItemState,
    why: Option<(&str, &str)>,
) -> Result<bool> {
    let update = "UPDATE bulk_items SET state = ?, code = ?, detail = ? WHERE bulk_id = ? AND order_id = ? AND state = 'waiting'";
    let update = sql(update).bind(state.as_str()).bind(why.map(|(code, _)| code.to_owned()));
    let update = update.bind(why.map(|(_, detail)| detail.to_owned())).bind(id).bind(order);
    Ok(update.execute(tx)? == 1)
}

/// Writes down that every order was taken.
pub(super) fn end(tx: &mut Tx, now: Instant, id: BulkJobId) -> Result<()> {
    let update = "UPDATE bulk_jobs SET state = 'done', ended_at = ? WHERE id = ? AND state = 'running' \
                  AND NOT EXISTS (SELECT 1 FROM bulk_items WHERE bulk_id = bulk_jobs.id AND state = 'waiting')";
    sql(update).bind(now).bind(id).execute(tx).map(|_| ())
}

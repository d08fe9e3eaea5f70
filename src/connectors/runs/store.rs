//! The only file that touches `connector_runs` and `connector_run_items`, but for what goes with its connector.

use std::collections::BTreeMap;

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::model::{Details, ItemState, Kept, RunItem, RunKind, RunState, Told};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Tx, UidSql, dialect, insert_many, sql},
    error::Result,
    kernel::{
        Id, Instant,
        ids::{ChannelId, ConnectorId, ConnectorRunId, JobId},
    },
};

const SELECTED: &str = "id, connector_id, kind, state, position, until, sending, night, differences, closed_at, doc, created_at, \
                        ended_at";
#[rustfmt::skip]
type Columns = (UidSql, UidSql, Text, Text, BigInt, BigInt, BigInt, Nullable<Text>, BigInt, Nullable<InstantSql>, DocSql, InstantSql, Nullable<InstantSql>);
#[rustfmt::skip]
type Row = (ConnectorRunId, ConnectorId, RunKind, RunState, i64, i64, i64, Option<String>, i64, Option<Instant>, Doc<Details>, Instant, Option<Instant>);

#[rustfmt::skip]
fn kept(row: Row) -> Kept {
    let (id, connector, kind, state, position, until, sending, night, differences, closed_at, Doc(details), created_at, ended_at) = row;
    Kept { id, connector, kind, state, position, until, sending, night, differences, closed_at, details, created_at, ended_at }
}

/// Writes a run down that begins. False, and nothing, where one of this connector is at work, or was begun for the same night.
pub(super) fn insert(tx: &mut Tx, run: &Kept) -> Result<bool> {
    let insert = "INSERT INTO connector_runs (id, connector_id, kind, state, position, until, night, doc, created_at) \
                  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    let insert = sql(insert).bind(run.id).bind(run.connector).bind(run.kind.as_str()).bind(run.state.as_str());
    let insert = insert.bind(run.position).bind(run.until).bind(run.night.clone());
    Ok(insert.bind(Doc(serde_json::to_value(&run.details)?)).bind(run.created_at).execute(tx)? == 1)
}

pub(super) fn find(tx: &mut Tx, id: ConnectorRunId) -> Result<Option<Kept>> {
    let query = sql(format!("SELECT {SELECTED} FROM connector_runs WHERE id = ?")).bind(id);
    Ok(query.first::<Columns, Row>(tx)?.map(kept))
}

/// The same, for nobody else to change until the end of the transaction.
pub(super) fn locked(tx: &mut Tx, id: ConnectorRunId) -> Result<Option<Kept>> {
    let lock = dialect::for_update(tx);
    let query = sql(format!("SELECT {SELECTED} FROM connector_runs WHERE id = ?{lock}")).bind(id);
    Ok(query.first::<Columns, Row>(tx)?.map(kept))
}

/// The run of a connector that is at work, if there is one.
pub(super) fn running(tx: &mut Tx, connector: ConnectorId) -> Result<Option<(ConnectorRunId, RunKind)>> {
    let query = sql("SELECT id, kind FROM connector_runs WHERE connector_id = ? AND ended_at IS NULL").bind(connector);
    query.first::<(UidSql, Text), (ConnectorRunId, RunKind)>(tx)
}

/// Writes down where a run stands that the transaction has locked.
pub(super) fn save(tx: &mut Tx, run: &Kept) -> Result<()> {
    let update = "UPDATE connector_runs SET state = ?, position = ?, sending = ?, differences = ?, closed_at = ?, doc = ?, \
                  ended_at = ? WHERE id = ?";
    let update = sql(update).bind(run.state.as_str()).bind(run.position).bind(run.sending).bind(run.differences);
    let update = update.bind(run.closed_at).bind(Doc(serde_json::to_value(&run.details)?)).bind(run.ended_at);
    update.bind(run.id).execute(tx).map(|_| ())
}

/// The runs of a connector of a kind, the newest first, before one.
pub(super) fn page(
    tx: &mut Tx,
    (connector, kind): (ConnectorId, RunKind),
    before: Option<ConnectorRunId>,
    limit: i64,
) -> Result<Vec<Kept>> {
    let query = format!(
        "SELECT {SELECTED} FROM connector_runs WHERE connector_id = ? AND kind = ? AND id < ? ORDER BY id DESC LIMIT ?"
    );
    let before = before.unwrap_or(Id::from_bytes([0xff; 16]));
    let query = sql(query).bind(connector).bind(kind.as_str()).bind(before).bind(limit);
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(kept).collect())
}

/// The runs whose differences wait for somebody, the oldest first.
pub(super) fn waiting(tx: &mut Tx, limit: i64) -> Result<Vec<Kept>> {
    let query = format!(
        "SELECT {SELECTED} FROM connector_runs WHERE differences > 0 AND closed_at IS NULL AND ended_at IS NOT NULL \
         ORDER BY ended_at, id LIMIT ?"
    );
    Ok(sql(query).bind(limit).load::<Columns, Row>(tx)?.into_iter().map(kept).collect())
}

/// How many items of each state runs have.
pub(super) fn counts(tx: &mut Tx, runs: &[ConnectorRunId]) -> Result<BTreeMap<ConnectorRunId, BTreeMap<String, i64>>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT run_id, state, count(*) FROM connector_run_items WHERE run_id IN (SELECT wanted FROM {list}) \
         GROUP BY run_id, state"
    );
    let wanted = dialect::rows(runs.iter().map(|run| json!([run.hex()])).collect());
    let rows = sql(query).bind(wanted).load::<(UidSql, Text, BigInt), (ConnectorRunId, String, i64)>(tx)?;
    let mut counts: BTreeMap<ConnectorRunId, BTreeMap<String, i64>> = BTreeMap::new();
    for (run, state, count) in rows {
        counts.entry(run).or_default().insert(state, count);
    }
    Ok(counts)
}

/// Drops runs that ended before an instant, a bite at a time.
pub(super) fn purge(tx: &mut Tx, before: Instant, limit: i64) -> Result<usize> {
    let old = "SELECT id FROM connector_runs WHERE ended_at < ? ORDER BY ended_at LIMIT ?";
    sql(format!("DELETE FROM connector_run_items WHERE run_id IN ({old})")).bind(before).bind(limit).execute(tx)?;
    sql(format!("DELETE FROM connector_runs WHERE id IN ({old})")).bind(before).bind(limit).execute(tx)
}

/// An order that a run comes upon.
pub(super) type Upon = (String, Option<ChannelId>);

/// Adds orders to a run, those left out that it has already. Returns how many there were.
pub(super) fn add(
    tx: &mut Tx,
    now: Instant,
    (run, connector): (ConnectorRunId, ConnectorId),
    orders: &[(Upon, ItemState, Told)],
) -> Result<usize> {
    let list = dialect::list(tx, &[("wanted", Col::Text)]);
    let query = format!(
        "SELECT order_id FROM connector_run_items WHERE run_id = ? AND order_id IN (SELECT wanted FROM {list})"
    );
    let wanted = dialect::rows(orders.iter().map(|((order, _), ..)| json!([order])).collect());
    let known = sql(query).bind(run).bind(wanted).load::<Text, String>(tx)?;
    let columns = [
        ("run_id", Col::Uid),
        ("order_id", Col::Text),
        ("connector_id", Col::Uid),
        ("channel_id", Col::Uid),
        ("state", Col::Text),
        ("doc", Col::Doc),
        ("updated_at", Col::At),
    ];
    let mut rows: Vec<Vec<Bind>> = Vec::new();
    for ((order, channel), state, told) in orders.iter().filter(|((order, _), ..)| !known.contains(order)) {
        rows.push(vec![
            run.into(),
            order.as_str().into(),
            connector.into(),
            (*channel).into(),
            state.as_str().into(),
            Doc(serde_json::to_value(told)?).into(),
            now.into(),
        ]);
    }
    let count = rows.len();
    if count > 0 {
        insert_many(tx, "connector_run_items", &columns, rows)?;
    }
    Ok(count)
}

const ITEM: &str = "order_id, state, doc, updated_at, channel_id, sent_to, job_id";
type ItemColumns = (Text, Text, DocSql, InstantSql, Nullable<UidSql>, BigInt, Nullable<UidSql>);
type ItemRow = (String, ItemState, Doc<Told>, Instant, Option<ChannelId>, i64, Option<JobId>);

fn item((order_id, state, Doc(told), updated_at, channel, sent_to, job): ItemRow) -> RunItem {
    RunItem { order_id, state, told, updated_at, channel, sent_to, job }
}

pub(super) fn find_item(tx: &mut Tx, run: ConnectorRunId, order: &str) -> Result<Option<RunItem>> {
    let query = format!("SELECT {ITEM} FROM connector_run_items WHERE run_id = ? AND order_id = ?");
    Ok(sql(query).bind(run).bind(order).first::<ItemColumns, ItemRow>(tx)?.map(item))
}

/// The orders of a run in the order of their ids, after one.
pub(super) fn items(
    tx: &mut Tx,
    run: ConnectorRunId,
    state: Option<ItemState>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<RunItem>> {
    let of_state = if state.is_some() { " AND state = ?" } else { "" };
    let query = format!(
        "SELECT {ITEM} FROM connector_run_items WHERE run_id = ?{of_state} AND order_id > ? ORDER BY order_id LIMIT ?"
    );
    let mut query = sql(query).bind(run);
    if let Some(state) = state {
        query = query.bind(state.as_str());
    }
    let query = query.bind(after.unwrap_or_default()).bind(limit);
    Ok(query.load::<ItemColumns, ItemRow>(tx)?.into_iter().map(item).collect())
}

/// Moves an item on, when it still stands where it was seen. False when somebody else has moved it.
pub(super) fn move_item(
    tx: &mut Tx,
    now: Instant,
    run: ConnectorRunId,
    seen: &RunItem,
    to: (ItemState, i64, Option<JobId>),
    told: &Told,
) -> Result<bool> {
    let (state, sent_to, job) = to;
    let update = "UPDATE connector_run_items SET state = ?, sent_to = ?, job_id = ?, doc = ?, updated_at = ? \
                  WHERE run_id = ? AND order_id = ? AND state = ? AND sent_to = ?";
    let update = sql(update).bind(state.as_str()).bind(sent_to).bind(job).bind(Doc(serde_json::to_value(told)?));
    let update = update.bind(now).bind(run).bind(seen.order_id.as_str()).bind(seen.state.as_str()).bind(seen.sent_to);
    Ok(update.execute(tx)? == 1)
}

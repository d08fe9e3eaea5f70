//! The only file that touches `recurring_orders` and `recurring_runs`.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::model::{Details, RecurringOrder, RecurringRun, RecurringState, RunState};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{CartId, ChannelId, CustomerId, OrderId, RecurringId},
    },
};

type Types = (UidSql, UidSql, UidSql, Text, InstantSql, DocSql, BigInt, InstantSql, InstantSql);
type Row = (RecurringId, ChannelId, CustomerId, RecurringState, Instant, Doc<Details>, i64, Instant, Instant);
const READ: &str = "id, channel_id, customer_id, state, next_at, doc, version, created_at, updated_at";

fn recurring(row: Row) -> RecurringOrder {
    let (id, channel_id, customer_id, state, next_at, Doc(to), version, created_at, updated_at) = row;
    RecurringOrder {
        id,
        channel_id,
        customer_id,
        state,
        next_at,
        every: to.every,
        first_at: to.first_at,
        lines: to.lines.clone(),
        payment_method: to.payment_method.clone(),
        to,
        version,
        created_at,
        updated_at,
    }
}

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<RecurringOrder>> {
    Ok(query.load::<Types, Row>(tx)?.into_iter().map(recurring).collect())
}

pub(super) fn insert(tx: &mut Tx, new: &RecurringOrder) -> Result<()> {
    sql(format!("INSERT INTO recurring_orders ({READ}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(new.id)
        .bind(new.channel_id)
        .bind(new.customer_id)
        .bind(new.state.as_str())
        .bind(new.next_at)
        .bind(Json::of(&new.to)?)
        .bind(new.version)
        .bind(new.created_at)
        .bind(new.updated_at)
        .execute(tx)?;
    Ok(())
}

pub(super) fn read(tx: &mut Tx, id: RecurringId) -> Result<Option<RecurringOrder>> {
    Ok(load(tx, sql(format!("SELECT {READ} FROM recurring_orders WHERE id = ?")).bind(id))?.pop())
}

/// The same, locked until the end of the transaction.
pub(super) fn lock(tx: &mut Tx, id: RecurringId) -> Result<Option<RecurringOrder>> {
    let lock = dialect::for_update(tx);
    Ok(load(tx, sql(format!("SELECT {READ} FROM recurring_orders WHERE id = ?{lock}")).bind(id))?.pop())
}

/// Writes a recurring order over the version that was read. False when it has changed since.
pub(super) fn update(tx: &mut Tx, now: Instant, one: &RecurringOrder) -> Result<bool> {
    let update =
        sql("UPDATE recurring_orders SET state = ?, next_at = ?, doc = ?, version = version + 1, updated_at = ? \
                      WHERE id = ? AND version = ?")
        .bind(one.state.as_str())
        .bind(one.next_at)
        .bind(Json::of(&one.to)?)
        .bind(now)
        .bind(one.id)
        .bind(one.version);
    Ok(update.execute(tx)? == 1)
}

/// Those whose date has come, the longest first.
pub(super) fn due(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<RecurringId>> {
    sql("SELECT id FROM recurring_orders WHERE state = 'active' AND next_at <= ? ORDER BY next_at LIMIT ?")
        .bind(now)
        .bind(limit)
        .load::<UidSql, RecurringId>(tx)
}

type RunTypes = (UidSql, InstantSql, Text, Nullable<UidSql>, Nullable<Text>, UidSql);
type RunRow = (RecurringId, Instant, RunState, Option<OrderId>, Option<String>, CartId);
const RUN: &str = "recurring_id, due_at, state, order_id, failure, cart_id";

fn run((recurring_id, due_at, state, order_id, failure, cart_id): RunRow) -> RecurringRun {
    RecurringRun { recurring_id, due_at, state, order_id, failure, cart_id }
}

/// Writes a date down: each once.
pub(super) fn insert_run(tx: &mut Tx, now: Instant, new: &RecurringRun) -> Result<()> {
    sql(format!("INSERT INTO recurring_runs ({RUN}, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(new.recurring_id)
        .bind(new.due_at)
        .bind(new.state.as_str())
        .bind(new.order_id)
        .bind(new.failure.clone())
        .bind(new.cart_id)
        .bind(now)
        .bind(now)
        .execute(tx)?;
    Ok(())
}

/// A date.
pub(super) fn run_at(tx: &mut Tx, id: RecurringId, due: Instant) -> Result<Option<RecurringRun>> {
    let query = format!("SELECT {RUN} FROM recurring_runs WHERE recurring_id = ? AND due_at = ?");
    Ok(sql(query).bind(id).bind(due).first::<RunTypes, RunRow>(tx)?.map(run))
}

/// Notes what came of a date. False when somebody else has.
pub(super) fn end_run(tx: &mut Tx, now: Instant, run: &RecurringRun) -> Result<bool> {
    let update = sql("UPDATE recurring_runs SET state = ?, order_id = ?, failure = ?, updated_at = ? \
                      WHERE recurring_id = ? AND due_at = ? AND state = 'placing'")
    .bind(run.state.as_str())
    .bind(run.order_id)
    .bind(run.failure.clone())
    .bind(now)
    .bind(run.recurring_id)
    .bind(run.due_at);
    Ok(update.execute(tx)? == 1)
}

/// The last dates of a recurring order, the latest first.
pub(super) fn runs(tx: &mut Tx, id: RecurringId, limit: i64) -> Result<Vec<RecurringRun>> {
    let query = format!("SELECT {RUN} FROM recurring_runs WHERE recurring_id = ? ORDER BY due_at DESC LIMIT ?");
    Ok(sql(query).bind(id).bind(limit).load::<RunTypes, RunRow>(tx)?.into_iter().map(run).collect())
}

/// What a list is narrowed to.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub customer: Option<CustomerId>,
    pub state: Option<RecurringState>,
    /// The channels that are seen; all where `None`.
    pub channels: Option<Vec<ChannelId>>,
}

/// A page, the newest first.
pub(super) fn page(
    tx: &mut Tx,
    filter: &Filter,
    before: Option<RecurringId>,
    limit: i64,
) -> Result<Vec<RecurringOrder>> {
    let (mut text, mut binds) = (String::from("WHERE true"), Vec::<Bind>::new());
    if let Some(customer) = filter.customer {
        text.push_str(" AND customer_id = ?");
        binds.push(customer.into());
    }
    if let Some(state) = filter.state {
        text.push_str(" AND state = ?");
        binds.push(state.as_str().into());
    }
    if let Some(channels) = &filter.channels {
        let list = dialect::list(tx, &[("wanted", Col::Uid)]);
        text.push_str(&format!(" AND channel_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    if let Some(before) = before {
        text.push_str(" AND id < ?");
        binds.push(before.into());
    }
    let query = format!("SELECT {READ} FROM recurring_orders {text} ORDER BY id DESC LIMIT ?");
    load(tx, sql(query).bind_all(binds).bind(limit))
}

/// The recurring orders of a customer behind one of them, in the order of their ids.
pub(super) fn of_customer_after(
    tx: &mut Tx,
    customer: CustomerId,
    after: Option<RecurringId>,
    limit: i64,
) -> Result<Vec<RecurringOrder>> {
    let after = after.unwrap_or(RecurringId::from_bytes([0; 16]));
    let query = format!("SELECT {READ} FROM recurring_orders WHERE customer_id = ? AND id > ? ORDER BY id LIMIT ?");
    load(tx, sql(query).bind(customer).bind(after).bind(limit))
}

/// The recurring orders of a customer, locked in the order of their ids.
pub(super) fn of_customer(tx: &mut Tx, customer: CustomerId) -> Result<Vec<RecurringOrder>> {
    let lock = dialect::for_update(tx);
    load(tx, sql(format!("SELECT {READ} FROM recurring_orders WHERE customer_id = ? ORDER BY id{lock}")).bind(customer))
}

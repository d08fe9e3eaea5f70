//! The only file that touches `connectors` and `dispatches`.

use std::collections::{HashMap, HashSet};

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::{Value, json};

use super::{
    attempts,
    model::{Backlog, ConnectorState, Dispatch, DispatchState, Kept, Setup, Trace},
    ports::Outcome,
};
use crate::{
    db::{Col, Doc, DocSql, InstantSql, Tx, UidSql, dialect, sql},
    error::Result,
    events::Event,
    kernel::{
        Id, Instant, Waiting,
        ids::{ConnectorId, DispatchId, EventId, JobId},
        stored,
    },
};

const SELECTED: &str = "id, name, adapter, state, pause_reason, doc, secret, position, version, created_at, updated_at";
#[rustfmt::skip]
type Columns = (UidSql, Text, Text, Text, Nullable<Text>, DocSql, Nullable<Text>, BigInt, BigInt, InstantSql, InstantSql);
#[rustfmt::skip]
type Row = (ConnectorId, String, String, ConnectorState, Option<String>, Doc<Setup>, Option<String>, i64, i64, Instant, Instant);

fn kept(row: Row) -> Kept {
    let (id, name, adapter, state, pause_reason, Doc(setup), sealed, position, version, created_at, updated_at) = row;
    Kept { id, name, adapter, state, pause_reason, setup, sealed, position, version, created_at, updated_at }
}

pub(super) fn insert(tx: &mut Tx, made: &Kept) -> Result<()> {
    let insert = sql(
        "INSERT INTO connectors (id, name, adapter, state, doc, secret, position, version, created_at, updated_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    let insert = insert.bind(made.id).bind(made.name.as_str()).bind(made.adapter.as_str()).bind(made.state.as_str());
    let insert = insert.bind(Doc(serde_json::to_value(&made.setup)?)).bind(made.sealed.clone()).bind(made.position);
    insert.bind(made.version).bind(made.created_at).bind(made.updated_at).execute(tx)?;
    Ok(())
}

pub(super) fn find(tx: &mut Tx, id: ConnectorId) -> Result<Option<Kept>> {
    let query = format!("SELECT {SELECTED} FROM connectors WHERE id = ?");
    Ok(sql(query).bind(id).first::<Columns, Row>(tx)?.map(kept))
}

pub(super) fn list(tx: &mut Tx, after: Option<ConnectorId>, limit: i64) -> Result<Vec<Kept>> {
    let query = format!("SELECT {SELECTED} FROM connectors WHERE id > ? ORDER BY id LIMIT ?");
    let after = after.unwrap_or(Id::from_bytes([0; 16]));
    Ok(sql(query).bind(after).bind(limit).load::<Columns, Row>(tx)?.into_iter().map(kept).collect())
}

/// The active connectors whose cursor is before a position.
pub(super) fn behind(tx: &mut Tx, last: i64) -> Result<Vec<Kept>> {
    let query = format!("SELECT {SELECTED} FROM connectors WHERE state = 'active' AND position < ? ORDER BY id");
    Ok(sql(query).bind(last).load::<Columns, Row>(tx)?.into_iter().map(kept).collect())
}

/// Up to where active connectors need no event of the log any more: what they have not been given and what has not arrived
/// is behind it. `None` when there is none.
///
/// # Errors
/// What the database says.
pub fn read_up_to(tx: &mut Tx) -> Result<Option<i64>> {
    let open = |state: &str| {
        format!(
            "SELECT min(d.position) - 1 FROM connectors AS c JOIN dispatches AS d ON d.connector_id = c.id \
             WHERE c.state = 'active' AND d.state = '{state}'"
        )
    };
    let query = format!(
        "SELECT min(place) FROM (SELECT min(position) AS place FROM connectors WHERE state = 'active' \
         UNION ALL {} UNION ALL {}) AS places",
        open("pending"),
        open("dead")
    );
    Ok(sql(query).first::<Nullable<BigInt>, Option<i64>>(tx)?.flatten())
}

/// Pauses a connector before whose place the log has been dropped, and sets it to where the log begins now.
pub(super) fn lose(tx: &mut Tx, now: Instant, seen: &Kept, dropped: i64) -> Result<bool> {
    let reason = format!(
        "events up to position {dropped} were dropped from the log before they were read here (it stood at {}): bring \
         the other system up to date, then let it go on",
        seen.position
    );
    let update = sql("UPDATE connectors SET state = 'paused', pause_reason = ?, position = ?, version = version + 1, \
         updated_at = ? WHERE id = ? AND version = ? AND state = 'active'");
    let update = update.bind(reason).bind(dropped).bind(now).bind(seen.id).bind(seen.version);
    Ok(update.execute(tx)? == 1)
}

/// Gives up what a connector was to get and what the log has no longer, and pauses the connector for somebody to bring the other
/// system up to date. Gives the jobs that are to be given up with it.
pub(super) fn lose_undelivered(tx: &mut Tx, now: Instant, connector: ConnectorId, dropped: i64) -> Result<Vec<JobId>> {
    let reason = format!(
        "events up to position {dropped} were dropped from the log before they had arrived: bring the other system up to \
         date, then let it go on"
    );
    pause(tx, now, connector, &reason)?;
    let trace =
        Trace { reason: Some("it was dropped from the log before it had arrived".to_owned()), ..Trace::default() };
    let update = sql("UPDATE dispatches SET state = 'skipped', doc = ?, updated_at = ? \
         WHERE connector_id = ? AND position <= ? AND state IN ('pending', 'dead') RETURNING job_id");
    let update = update.bind(Doc(serde_json::to_value(&trace)?)).bind(now).bind(connector).bind(dropped);
    update.load::<UidSql, JobId>(tx)
}

/// Replaces a connector's name, state, set-up and secrets when it still has the given version. The cursor stays.
pub(super) fn update(tx: &mut Tx, now: Instant, changed: &Kept, version: i64) -> Result<bool> {
    // What a newer version beside this one has written stays.
    let before = sql("SELECT doc FROM connectors WHERE id = ?").bind(changed.id);
    let Some(Doc(before)) = before.first::<DocSql, Doc<Value>>(tx)? else { return Ok(false) };
    let doc = stored::carried_over::<Setup>(before, serde_json::to_value(&changed.setup)?);
    let update = sql("UPDATE connectors SET name = ?, state = ?, pause_reason = ?, doc = ?, secret = ?, \
         version = version + 1, updated_at = ? WHERE id = ? AND version = ?");
    let update = update.bind(changed.name.as_str()).bind(changed.state.as_str()).bind(changed.pause_reason.clone());
    let update = update.bind(Doc(doc)).bind(changed.sealed.clone()).bind(now);
    Ok(update.bind(changed.id).bind(version).execute(tx)? == 1)
}

pub(super) fn pause(tx: &mut Tx, now: Instant, id: ConnectorId, reason: &str) -> Result<bool> {
    let update =
        sql("UPDATE connectors SET state = 'paused', pause_reason = ?, version = version + 1, updated_at = ? \
         WHERE id = ? AND state = 'active'");
    Ok(update.bind(reason).bind(now).bind(id).execute(tx)? == 1)
}

/// Pauses all connectors: how many there were.
///
/// # Errors
/// What the database says.
pub fn pause_all(tx: &mut Tx, now: Instant, reason: &str) -> Result<usize> {
    let update = "UPDATE connectors SET state = 'paused', pause_reason = ?, version = version + 1, updated_at = ? \
                  WHERE state = 'active'";
    sql(update).bind(reason).bind(now).execute(tx)
}

/// Whether a connector is paused, and stays so until the end of the transaction.
pub(super) fn is_paused_locked(tx: &mut Tx, id: ConnectorId) -> Result<bool> {
    let query = format!("SELECT state FROM connectors WHERE id = ?{}", dialect::for_update(tx));
    Ok(sql(query).bind(id).first::<Text, ConnectorState>(tx)? == Some(ConnectorState::Paused))
}

/// How far of the log a connector has been given; no further until the end of the transaction.
pub(super) fn position_locked(tx: &mut Tx, id: ConnectorId) -> Result<Option<i64>> {
    let query = format!("SELECT position FROM connectors WHERE id = ?{}", dialect::for_update(tx));
    sql(query).bind(id).first::<BigInt, i64>(tx)
}

/// Removes a connector and its log of dispatches.
pub(super) fn delete(tx: &mut Tx, id: ConnectorId, version: i64) -> Result<bool> {
    if sql("DELETE FROM connectors WHERE id = ? AND version = ?").bind(id).bind(version).execute(tx)? == 0 {
        return Ok(false);
    }
    for table in [
        "dispatches",
        "dispatch_attempts",
        "connector_breakers",
        "connector_links",
        "connector_mappings",
        "connector_pulls",
        "connector_runs",
        "connector_run_items",
    ] {
        sql(format!("DELETE FROM {table} WHERE connector_id = ?")).bind(id).execute(tx)?;
    }
    Ok(true)
}

/// Whether a connector is active, with the cursor and the set-up that were seen; it stays so until the end of the transaction.
pub(super) fn is_as_seen_locked(tx: &mut Tx, seen: &Kept) -> Result<bool> {
    let query = format!(
        "SELECT id FROM connectors WHERE id = ? AND position = ? AND version = ? AND state = 'active'{}",
        dialect::for_update(tx)
    );
    let query = sql(query).bind(seen.id).bind(seen.position).bind(seen.version);
    Ok(query.first::<UidSql, ConnectorId>(tx)?.is_some())
}

/// Moves the cursor of a connector that the transaction has locked.
pub(super) fn advance(tx: &mut Tx, connector: ConnectorId, to: i64) -> Result<usize> {
    sql("UPDATE connectors SET position = ? WHERE id = ?").bind(to).bind(connector).execute(tx)
}

/// How much waits for each of these connectors.
pub(super) fn backlogs(tx: &mut Tx, of: &[Kept], last: i64, now: Instant) -> Result<HashMap<ConnectorId, Backlog>> {
    type Counted = (ConnectorId, i64, Option<Instant>);
    let list = dialect::list(tx, &[("connector", Col::Uid)]);
    let wanted = || dialect::rows(of.iter().map(|connector| json!([connector.id.hex()])).collect());
    let count = |state: &str| {
        sql(format!(
            "SELECT connector_id, count(*), min(created_at) FROM dispatches WHERE state = '{state}' \
             AND connector_id IN (SELECT connector FROM {list}) GROUP BY connector_id"
        ))
        .bind(wanted())
    };
    let pending = count("pending").load::<(UidSql, BigInt, Nullable<InstantSql>), Counted>(tx)?;
    let dead = count("dead").load::<(UidSql, BigInt, Nullable<InstantSql>), Counted>(tx)?;
    let dead: HashMap<ConnectorId, i64> = dead.into_iter().map(|(id, count, _)| (id, count)).collect();
    let pending: HashMap<ConnectorId, (i64, Option<Instant>)> =
        pending.into_iter().map(|(id, count, oldest)| (id, (count, oldest))).collect();
    let backlog = |connector: &Kept| {
        let (pending, oldest_pending_at) = pending.get(&connector.id).copied().unwrap_or_default();
        let backlog = Backlog {
            log_position: last,
            behind: (last - connector.position).max(0),
            pending,
            dead: dead.get(&connector.id).copied().unwrap_or_default(),
            oldest_pending_at,
            lag_seconds: oldest_pending_at.map_or(0, |oldest| now.seconds_since(oldest).max(0)),
        };
        (connector.id, backlog)
    };
    Ok(of.iter().map(backlog).collect())
}

/// A dispatch about to be written.
pub(super) struct NewDispatch {
    pub id: DispatchId,
    pub job: JobId,
    pub event: EventId,
    pub position: i64,
    pub stream: String,
    pub kind: String,
}

impl NewDispatch {
    pub(super) fn of(event: &Event) -> Self {
        let (stream, kind) = (event.stream.clone(), event.kind.clone());
        Self { id: Id::new(), job: Id::new(), event: event.id, position: event.position, stream, kind }
    }
}

const DISPATCH_COLUMNS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("connector_id", Col::Uid),
    ("position", Col::Int),
    ("event_id", Col::Uid),
    ("job_id", Col::Uid),
    ("stream", Col::Text),
    ("type", Col::Text),
    ("state", Col::Text),
    ("attempts", Col::Int),
    ("doc", Col::Doc),
    ("created_at", Col::At),
    ("updated_at", Col::At),
];

/// Writes dispatches, all with one statement. Those that have arrived or were skipped are sent again; those that are on
/// their way and those that are dead keep their jobs, and with them their places in the order of their streams. Returns the
/// jobs that are to be made, by dispatch.
pub(super) fn insert_dispatches(
    tx: &mut Tx,
    now: Instant,
    connector: ConnectorId,
    new: &[NewDispatch],
) -> Result<HashMap<JobId, DispatchId>> {
    let at = now.sortable();
    let row = |new: &NewDispatch| {
        let (id, job, event) = (new.id.hex(), new.job.hex(), new.event.hex());
        json!([id, connector.hex(), new.position, event, job, new.stream, new.kind, "pending", 0, {}, at, at])
    };
    let names: Vec<&str> = DISPATCH_COLUMNS.iter().map(|(name, _)| *name).collect();
    let (names, list) = (names.join(", "), dialect::list(tx, DISPATCH_COLUMNS));
    let insert = format!(
        "INSERT INTO dispatches ({names}) SELECT {names} FROM {list} WHERE true ORDER BY ord \
         ON CONFLICT (connector_id, position) DO UPDATE SET state = 'pending', job_id = excluded.job_id, attempts = 0, \
         updated_at = excluded.updated_at WHERE dispatches.state IN ('delivered', 'skipped') RETURNING job_id, id"
    );
    let rows = dialect::rows(new.iter().map(row).collect());
    let written = sql(insert).bind(rows).load::<(UidSql, UidSql), (JobId, DispatchId)>(tx)?;
    Ok(written.into_iter().collect())
}

const DISPATCH: &str = "id, connector_id, event_id, position, stream, type, state, attempts, last_status, doc, response, \
                        job_id, created_at, updated_at";
#[rustfmt::skip]
type DispatchColumns = (UidSql, UidSql, UidSql, BigInt, Text, Text, Text, BigInt, Nullable<BigInt>, DocSql, Nullable<Text>, UidSql, InstantSql, InstantSql);
#[rustfmt::skip]
type DispatchRow = (DispatchId, ConnectorId, EventId, i64, String, String, DispatchState, i64, Option<i64>, Doc<Trace>, Option<String>, JobId, Instant, Instant);

#[rustfmt::skip]
fn as_dispatch(row: DispatchRow) -> Dispatch {
    let (id, connector_id, event_id, position, stream, kind, state, attempts, last_status, Doc(trace), response, job_id, created_at, updated_at) = row;
    Dispatch { id, connector_id, event_id, position, stream, kind, state, attempts, last_status, trace, response, job_id, created_at, updated_at }
}

pub(super) fn dispatch(tx: &mut Tx, id: DispatchId) -> Result<Option<Dispatch>> {
    let query = format!("SELECT {DISPATCH} FROM dispatches WHERE id = ?");
    Ok(sql(query).bind(id).first::<DispatchColumns, DispatchRow>(tx)?.map(as_dispatch))
}

/// The dispatches of a connector, newest first, before a position.
pub(super) fn dispatches(
    tx: &mut Tx,
    connector: ConnectorId,
    state: Option<DispatchState>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Dispatch>> {
    // The state's word stands in the text, so that its partial index serves; there are four of them.
    let condition = state.map(|state| format!(" AND state = '{state}'")).unwrap_or_default();
    let query = format!(
        "SELECT {DISPATCH} FROM dispatches WHERE connector_id = ? AND position < ?{condition} ORDER BY position DESC LIMIT ?"
    );
    let query = sql(query).bind(connector).bind(before.unwrap_or(i64::MAX)).bind(limit);
    Ok(query.load::<DispatchColumns, DispatchRow>(tx)?.into_iter().map(as_dispatch).collect())
}

/// The connectors and positions of a stream's dispatches that have not arrived.
pub(super) fn waiting_of(tx: &mut Tx, stream: &str) -> Result<HashSet<(ConnectorId, i64)>> {
    let query = sql("SELECT connector_id, position FROM dispatches WHERE stream = ? AND state IN ('pending', 'dead')");
    Ok(query.bind(stream).load::<(UidSql, BigInt), (ConnectorId, i64)>(tx)?.into_iter().collect())
}

/// The positions of what of streams has not arrived at a connector, and whether it is dead.
pub(super) fn open_of(tx: &mut Tx, connector: ConnectorId, streams: &[&str]) -> Result<Vec<(String, i64, bool)>> {
    let list = dialect::list(tx, &[("wanted", Col::Text)]);
    let query = format!(
        "SELECT stream, position, state FROM dispatches WHERE connector_id = ? AND state IN ('pending', 'dead') \
         AND stream IN (SELECT wanted FROM {list})"
    );
    let wanted = dialect::rows(streams.iter().map(|stream| json!([stream])).collect());
    let rows =
        sql(query).bind(connector).bind(wanted).load::<(Text, BigInt, Text), (String, i64, DispatchState)>(tx)?;
    Ok(rows.into_iter().map(|(stream, position, state)| (stream, position, state == DispatchState::Dead)).collect())
}

/// Writes down how a try ended. False when the dispatch is not the job's any more.
pub(super) fn settle(
    tx: &mut Tx,
    now: Instant,
    of: &Dispatch,
    state: DispatchState,
    outcome: &Outcome,
) -> Result<bool> {
    let trace = Trace {
        duration_ms: Some(outcome.duration_ms),
        sent_sha256: Some(outcome.sent_sha256.clone()).filter(|hash| !hash.is_empty()),
        error: outcome.error.clone(),
        ..of.trace.clone()
    };
    let update = sql(
        "UPDATE dispatches SET state = ?, attempts = attempts + 1, last_status = ?, doc = ?, response = ?, updated_at = ? \
         WHERE id = ? AND job_id = ? AND state IN ('pending', 'dead')",
    );
    let update = update.bind(state.as_str()).bind(outcome.status).bind(Doc(serde_json::to_value(&trace)?));
    let update = update.bind(outcome.response.clone()).bind(now).bind(of.id).bind(of.job_id);
    Ok(update.execute(tx)? == 1)
}

/// Drops the answers of a connector's earlier successes: only the last one's is kept.
pub(super) fn forget_answers(tx: &mut Tx, connector: ConnectorId, but: DispatchId) -> Result<()> {
    // What somebody else has in hand is left to the next success: to wait for it would be to wait in no fixed order.
    let update = format!(
        "UPDATE dispatches SET response = NULL WHERE id IN (SELECT id FROM dispatches \
         WHERE connector_id = ? AND state = 'delivered' AND response IS NOT NULL AND id <> ?{})",
        dialect::skip_locked(tx)
    );
    sql(update).bind(connector).bind(but).execute(tx)?;
    Ok(())
}

/// Drops what was answered to the events of streams: a receiver may have repeated what it was told.
///
/// # Errors
/// What the database says.
pub fn forget_answers_of(tx: &mut Tx, streams: &[String]) -> Result<()> {
    let list = dialect::list(tx, &[("wanted", Col::Text)]);
    let wanted = || dialect::rows(streams.iter().map(|stream| json!([stream])).collect());
    // The words of the partial indexes, one statement each: of what has arrived few have an answer, what was skipped is few.
    const OF_ALL: &str = "connector_id IN (SELECT id FROM connectors)";
    for states in [
        "state IN ('pending', 'dead')".to_owned(),
        format!("state = 'delivered' AND {OF_ALL}"),
        format!("state = 'skipped' AND {OF_ALL}"),
    ] {
        let update = format!(
            "UPDATE dispatches SET response = NULL \
             WHERE {states} AND response IS NOT NULL AND stream IN (SELECT wanted FROM {list})"
        );
        sql(update).bind(wanted()).execute(tx)?;
    }
    attempts::forget_of(tx, streams)
}

/// Moves a dispatch to another state by somebody's decision, when it is still as they saw it.
pub(super) fn decide(
    tx: &mut Tx,
    now: Instant,
    seen: &Dispatch,
    state: DispatchState,
    job: JobId,
    trace: &Trace,
) -> Result<bool> {
    let update = sql(
        "UPDATE dispatches SET state = ?, job_id = ?, doc = ?, updated_at = ? WHERE id = ? AND state = ? AND job_id = ?",
    );
    let update = update.bind(state.as_str()).bind(job).bind(Doc(serde_json::to_value(trace)?)).bind(now);
    Ok(update.bind(seen.id).bind(seen.state.as_str()).bind(seen.job_id).execute(tx)? == 1)
}

/// The jobs of the dead dispatches between two positions.
pub(super) fn dead_jobs(tx: &mut Tx, connector: ConnectorId, from: i64, to: i64) -> Result<Vec<JobId>> {
    let query = "SELECT job_id FROM dispatches WHERE connector_id = ? AND state = 'dead' AND position BETWEEN ? AND ?";
    sql(query).bind(connector).bind(from).bind(to).load::<UidSql, JobId>(tx)
}

/// Puts dead dispatches on their way again whose jobs go on.
pub(super) fn revive(tx: &mut Tx, now: Instant, jobs: &[JobId]) -> Result<usize> {
    let list = dialect::list(tx, &[("job", Col::Uid)]);
    let update = format!(
        "UPDATE dispatches SET state = 'pending', updated_at = ? WHERE state = 'dead' AND job_id IN (SELECT job FROM {list})"
    );
    let wanted = dialect::rows(jobs.iter().map(|job| json!([job.hex()])).collect());
    sql(update).bind(now).bind(wanted).execute(tx)
}

/// Drops dispatches that were done with before an instant, a bite at a time.
pub(super) fn purge(tx: &mut Tx, before: Instant, limit: i64) -> Result<usize> {
    sql("DELETE FROM dispatches WHERE id IN (SELECT id FROM dispatches \
         WHERE state IN ('delivered', 'skipped') AND updated_at < ? ORDER BY updated_at LIMIT ?)")
    .bind(before)
    .bind(limit)
    .execute(tx)
}

/// A dead dispatch as what waits for a person.
pub(super) struct WaitingDead {
    pub setup: Setup,
    pub position: i64,
    pub waiting: Waiting,
}

/// The dead dispatches of all connectors, the oldest first.
pub(super) fn waiting_dead(tx: &mut Tx, limit: i64) -> Result<Vec<WaitingDead>> {
    #[rustfmt::skip]
    type Found = (DispatchId, ConnectorId, i64, String, String, Instant, String, Doc<Setup>);
    let query = "SELECT dispatches.id, connector_id, dispatches.position, type, dispatches.stream, dispatches.updated_at, \
                   name, connectors.doc \
                 FROM dispatches JOIN connectors ON connectors.id = connector_id WHERE dispatches.state = 'dead' \
                 ORDER BY dispatches.updated_at, dispatches.id LIMIT ?";
    let rows =
        sql(query).bind(limit).load::<(UidSql, UidSql, BigInt, Text, Text, InstantSql, Text, DocSql), Found>(tx)?;
    let waiting = |(id, connector, position, kind, stream, since, name, Doc(setup)): Found| {
        let waiting = Waiting {
            id: id.to_string(),
            since,
            subject: format!("{kind} of {stream} did not arrive at {name}"),
            link: format!("/v1/ops/connectors/{connector}/dispatches/{id}"),
        };
        WaitingDead { setup, position, waiting }
    };
    Ok(rows.into_iter().map(waiting).collect())
}

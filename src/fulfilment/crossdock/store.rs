//! The only file that touches `dock_hubs`, `dock_demands`, `dock_matches` and `dock_tasks`. What is open of a line it reads in the
//! statement that reserves it, so that nothing comes between.

use std::collections::HashMap;

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use serde_json::json;

use super::{
    model::{DockMatch, DockRules, DockTask, MatchState, TaskKind, TaskState, Way},
    outcome::Crossed,
    standing::Standing,
};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Sql, Tx, UidSql, dialect, insert_many, sql},
    error::{Error, Result},
    kernel::{
        Instant,
        ids::{DockMatchId, DockTaskId, FulfilmentOrderId, Id, InboundShipmentId, LocationId, VariantId},
    },
    stock::LevelKey,
};

/// A line of a fulfilment order.
pub(super) type Line = (FulfilmentOrderId, i32);

fn number(line_no: i64) -> Result<i32> {
    i32::try_from(line_no).map_err(Error::internal)
}

fn ids<K>(all: impl IntoIterator<Item = Id<K>>) -> Bind {
    dialect::rows(all.into_iter().map(|id| json!([id.hex()])).collect())
}

/// How a location's dock works, with the version; `None` where goods do not cross it.
pub(super) fn hub(tx: &mut Tx, location: LocationId) -> Result<Option<(DockRules, i64)>> {
    let query = sql("SELECT doc, version FROM dock_hubs WHERE location_id = ?").bind(location);
    let found = query.first::<(DocSql, BigInt), (Doc<DockRules>, i64)>(tx)?;
    Ok(found.map(|(Doc(rules), version)| (rules, version)))
}

/// The same, locked until the end of the transaction: who matches goods at a dock does so alone.
pub(super) fn lock_hub(tx: &mut Tx, location: LocationId) -> Result<Option<DockRules>> {
    let lock = dialect::for_update(tx);
    let query = sql(format!("SELECT doc FROM dock_hubs WHERE location_id = ?{lock}")).bind(location);
    Ok(query.first::<DocSql, Doc<DockRules>>(tx)?.map(|Doc(rules)| rules))
}

/// Sets how a dock works; tells the version.
pub(super) fn save_hub(tx: &mut Tx, now: Instant, location: LocationId, rules: &DockRules) -> Result<Option<i64>> {
    let insert = sql("INSERT INTO dock_hubs (location_id, doc, version, updated_at) VALUES (?, ?, 1, ?) \
         ON CONFLICT (location_id) DO UPDATE SET doc = excluded.doc, version = dock_hubs.version + 1, \
         updated_at = excluded.updated_at RETURNING version");
    let insert = insert.bind(location).bind(Doc(serde_json::to_value(rules)?)).bind(now);
    insert.first::<BigInt, i64>(tx)
}

/// The docks that there are.
pub(super) fn hubs(tx: &mut Tx) -> Result<Vec<LocationId>> {
    sql("SELECT location_id FROM dock_hubs ORDER BY location_id").load::<UidSql, LocationId>(tx)
}

/// How much of these lines of fulfilment orders is matched.
pub(super) fn matched(tx: &mut Tx, lines: &[Line]) -> Result<HashMap<Line, i64>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid), ("line", Col::Int)]);
    let query = format!(
        "SELECT fulfilment_order_id, line_no, matched FROM {list} \
         JOIN dock_demands ON fulfilment_order_id = list.wanted AND line_no = list.line"
    );
    let rows = lines.iter().map(|(id, line)| json!([id.hex(), line])).collect();
    type Row = (FulfilmentOrderId, i64, i64);
    let found = sql(query).bind(dialect::rows(rows)).load::<(UidSql, BigInt, BigInt), Row>(tx)?;
    found.into_iter().map(|(id, line, matched)| Ok(((id, number(line)?), matched))).collect()
}

/// Adds to what of lines is matched, each line once. The constraint refuses more than is open of one.
pub(super) fn match_demands(tx: &mut Tx, more: &[(Line, i64)]) -> Result<()> {
    if more.is_empty() {
        return Ok(());
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid), ("line", Col::Int), ("more", Col::Int)]);
    let insert = format!(
        "INSERT INTO dock_demands (fulfilment_order_id, line_no, wanted, matched) \
         SELECT f.fulfilment_order_id, f.line_no, f.quantity - f.cancelled - f.picked, list.more \
         FROM {list} JOIN fulfilment_lines AS f ON f.fulfilment_order_id = list.wanted AND f.line_no = list.line \
         WHERE true ORDER BY f.fulfilment_order_id, f.line_no \
         ON CONFLICT (fulfilment_order_id, line_no) DO UPDATE SET wanted = excluded.wanted, \
         matched = dock_demands.matched + excluded.matched"
    );
    let rows = more.iter().map(|((id, line), more)| json!([id.hex(), line, more])).collect();
    let moved = sql(insert).bind(dialect::rows(rows)).execute(tx);
    // It was picked, cancelled or matched meanwhile: look again.
    let moved = moved.map_err(|error| if error.is_check_violation() { Error::overtaken("a demand") } else { error })?;
    if moved == more.len() { Ok(()) } else { Err(Error::overtaken("a demand")) }
}

/// Takes off what of lines is matched, each line once.
pub(super) fn unmatch_demands(tx: &mut Tx, less: &[(Line, i64)]) -> Result<()> {
    let list = dialect::list(tx, &[("wanted", Col::Uid), ("line", Col::Int), ("less", Col::Int)]);
    let update = format!(
        "UPDATE dock_demands SET matched = matched - list.less FROM {list} \
         WHERE fulfilment_order_id = list.wanted AND line_no = list.line"
    );
    let rows = less.iter().map(|((id, line), less)| json!([id.hex(), line, less])).collect();
    match sql(update).bind(dialect::rows(rows)).execute(tx)? == less.len() {
        true => Ok(()),
        false => Err(Error::internal("a matched demand has gone")),
    }
}

#[derive(Queryable)]
struct MatchRow {
    id: DockMatchId,
    location_id: LocationId,
    inbound_shipment_id: InboundShipmentId,
    inbound_line: i64,
    fulfilment_order_id: FulfilmentOrderId,
    line_no: i64,
    variant_id: VariantId,
    sku: String,
    sscc: Option<String>,
    lot: Option<String>,
    way: Way,
    state: MatchState,
    quantity: i64,
    late: bool,
    ready_at: Instant,
    due_at: Instant,
    reason: Option<String>,
    created_at: Instant,
    received_at: Option<Instant>,
    ended_at: Option<Instant>,
}

#[rustfmt::skip]
type MatchTypes = (
    UidSql, UidSql, UidSql, BigInt, UidSql, BigInt, UidSql, Text, Nullable<Text>, Nullable<Text>, Text, Text, BigInt, Bool, InstantSql,
    InstantSql, Nullable<Text>, InstantSql, Nullable<InstantSql>, Nullable<InstantSql>,
);
const MATCH: &str = "id, location_id, inbound_shipment_id, inbound_line, fulfilment_order_id, line_no, variant_id, sku, sscc, lot, \
     way, state, quantity, late, ready_at, due_at, reason, created_at, received_at, ended_at";
const MATCHES: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("location_id", Col::Uid),
    ("inbound_shipment_id", Col::Uid),
    ("inbound_line", Col::Int),
    ("fulfilment_order_id", Col::Uid),
    ("line_no", Col::Int),
    ("variant_id", Col::Uid),
    ("sku", Col::Text),
    ("sscc", Col::Text),
    ("lot", Col::Text),
    ("way", Col::Text),
    ("state", Col::Text),
    ("quantity", Col::Int),
    ("late", Col::Bool),
    ("ready_at", Col::At),
    ("due_at", Col::At),
    ("created_at", Col::At),
    ("received_at", Col::At),
];

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<DockMatch>> {
    let one = |row: MatchRow| {
        Ok(DockMatch {
            id: row.id,
            location_id: row.location_id,
            inbound_shipment_id: row.inbound_shipment_id,
            inbound_line: number(row.inbound_line)?,
            fulfilment_order_id: row.fulfilment_order_id,
            line_no: number(row.line_no)?,
            variant_id: row.variant_id,
            sku: row.sku,
            sscc: row.sscc,
            lot: row.lot,
            way: row.way,
            state: row.state,
            quantity: row.quantity,
            late: row.late,
            ready_at: row.ready_at,
            due_at: row.due_at,
            reason: row.reason,
            created_at: row.created_at,
            received_at: row.received_at,
            ended_at: row.ended_at,
        })
    };
    query.load::<MatchTypes, MatchRow>(tx)?.into_iter().map(one).collect()
}

/// Writes matches with one statement.
pub(super) fn insert_matches(tx: &mut Tx, matches: &[DockMatch]) -> Result<()> {
    let row = |one: &DockMatch| {
        vec![
            one.id.into(),
            one.location_id.into(),
            one.inbound_shipment_id.into(),
            one.inbound_line.into(),
            one.fulfilment_order_id.into(),
            one.line_no.into(),
            one.variant_id.into(),
            one.sku.as_str().into(),
            one.sscc.clone().into(),
            one.lot.clone().into(),
            one.way.as_str().into(),
            one.state.as_str().into(),
            one.quantity.into(),
            one.late.into(),
            one.ready_at.into(),
            one.due_at.into(),
            one.created_at.into(),
            one.received_at.into(),
        ]
    };
    insert_many(tx, "dock_matches", MATCHES, matches.iter().map(row).collect()).map(|_| ())
}

/// The open matches of a shipment, those due first in front.
pub(super) fn open_of(tx: &mut Tx, shipment: InboundShipmentId) -> Result<Vec<DockMatch>> {
    let query = format!(
        "SELECT {MATCH} FROM dock_matches WHERE inbound_shipment_id = ? AND state IN ('planned', 'received') ORDER BY due_at, id"
    );
    load(tx, sql(query).bind(shipment))
}

/// The open matches at a dock, those ready first in front.
pub(super) fn open_at(tx: &mut Tx, location: LocationId) -> Result<Vec<DockMatch>> {
    let query = format!(
        "SELECT {MATCH} FROM dock_matches WHERE location_id = ? AND state IN ('planned', 'received') ORDER BY ready_at, id"
    );
    load(tx, sql(query).bind(location))
}

/// Those of locations over whose docks goods go.
pub(super) fn hubs_among(tx: &mut Tx, places: impl IntoIterator<Item = LocationId>) -> Result<Vec<LocationId>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    sql(format!("SELECT location_id FROM dock_hubs WHERE location_id IN (SELECT wanted FROM {list})"))
        .bind(ids(places))
        .load::<UidSql, LocationId>(tx)
}

/// What stands at docks for whom, of levels.
pub(super) fn standing(tx: &mut Tx, levels: &[LevelKey]) -> Result<Vec<Standing>> {
    let list = dialect::list(tx, &[("variant", Col::Uid), ("location", Col::Uid)]);
    let query = format!(
        "SELECT m.variant_id, m.location_id, m.fulfilment_order_id, m.line_no, m.quantity FROM {list} \
         JOIN dock_matches AS m ON m.location_id = location AND m.variant_id = variant WHERE m.state = 'received' \
         ORDER BY m.id"
    );
    let rows = levels.iter().map(|(variant, location)| json!([variant.hex(), location.hex()])).collect();
    type Row = (VariantId, LocationId, FulfilmentOrderId, i64, i64);
    let found = sql(query).bind(dialect::rows(rows));
    let found = found.load::<(UidSql, UidSql, UidSql, BigInt, BigInt), Row>(tx)?;
    let one = |(variant, location, work, line, pieces): Row| Ok(((variant, location), work, number(line)?, pieces));
    found.into_iter().map(one).collect()
}

/// How many pieces have crossed a dock since an instant.
pub(super) fn done_since(tx: &mut Tx, location: LocationId, since: Instant) -> Result<i64> {
    let query = sql("SELECT CAST(coalesce(sum(quantity), 0) AS bigint) FROM dock_matches \
         WHERE location_id = ? AND state = 'done' AND ended_at >= ?");
    Ok(query.bind(location).bind(since).first::<BigInt, i64>(tx)?.unwrap_or_default())
}

/// What a list is narrowed to: a dock, and where its items stand.
pub(super) type At = (LocationId, Option<&'static str>);

/// Matches at a dock, the newest first, from behind one of them.
pub(super) fn match_page(
    tx: &mut Tx,
    (location, state): At,
    before: Option<DockMatchId>,
    limit: i64,
) -> Result<Vec<DockMatch>> {
    load(tx, page(MATCH, "dock_matches", (location, state), before.map(Bind::from), limit))
}

fn page(columns: &str, table: &str, (location, state): At, before: Option<Bind>, limit: i64) -> Sql {
    let (mut text, mut binds) = (format!("SELECT {columns} FROM {table} WHERE location_id = ?"), vec![location.into()]);
    if let Some(state) = state {
        text.push_str(" AND state = ?");
        binds.push(state.into());
    }
    if let Some(before) = before {
        text.push_str(" AND id < ?");
        binds.push(before);
    }
    text.push_str(" ORDER BY id DESC LIMIT ?");
    sql(text).bind_all(binds).bind(limit)
}

/// Matches by their ids.
pub(super) fn by_ids(tx: &mut Tx, matches: &[DockMatchId]) -> Result<Vec<DockMatch>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT {MATCH} FROM dock_matches WHERE id IN (SELECT wanted FROM {list}) ORDER BY id");
    load(tx, sql(query).bind(ids(matches.iter().copied())))
}

/// Those of which goods came: with what has come of each, how, and in which handling unit. False when one has changed since.
pub(super) fn receive(tx: &mut Tx, now: Instant, come: &[DockMatch]) -> Result<bool> {
    if come.is_empty() {
        return Ok(true);
    }
    let columns = [("wanted", Col::Uid), ("pieces", Col::Int), ("how", Col::Text), ("unit", Col::Text)];
    let list = dialect::list(tx, &columns);
    let update = format!(
        "UPDATE dock_matches SET state = 'received', quantity = list.pieces, way = list.how, sscc = list.unit, received_at = ? \
         FROM {list} WHERE id = list.wanted AND state = 'planned'"
    );
    let rows = come.iter().map(|one| json!([one.id.hex(), one.quantity, one.way, one.sscc])).collect();
    Ok(sql(update).bind(now).bind(dialect::rows(rows)).execute(tx)? == come.len())
}

/// Ends matches of a state. False when one of them is in another by now.
pub(super) fn end(
    tx: &mut Tx,
    now: Instant,
    matches: &[DockMatchId],
    (from, to): (MatchState, MatchState),
    reason: Option<&str>,
) -> Result<bool> {
    if matches.is_empty() {
        return Ok(true);
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let update = format!(
        "UPDATE dock_matches SET state = ?, reason = ?, ended_at = ? FROM {list} WHERE id = list.wanted AND state = ?"
    );
    let update = sql(update).bind(to.as_str()).bind(reason.map(str::to_owned)).bind(now);
    Ok(update.bind(ids(matches.iter().copied())).bind(from.as_str()).execute(tx)? == matches.len())
}

/// Sets when goods of planned matches are ready.
pub(super) fn retime(tx: &mut Tx, matches: &[DockMatchId], ready_at: Instant) -> Result<()> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let update = format!(
        "UPDATE dock_matches SET ready_at = ?, late = ? > due_at FROM {list} WHERE id = list.wanted AND state = 'planned'"
    );
    sql(update).bind(ready_at).bind(ready_at).bind(ids(matches.iter().copied())).execute(tx).map(|_| ())
}

/// Lets planned matches know when those are due that they are for.
pub(super) fn follow_due(tx: &mut Tx, all: &[(FulfilmentOrderId, Instant)]) -> Result<()> {
    let list = dialect::list(tx, &[("owner", Col::Uid), ("due", Col::At)]);
    let update = format!(
        "UPDATE dock_matches SET due_at = list.due, late = ready_at > list.due FROM {list} \
         WHERE fulfilment_order_id = list.owner AND state = 'planned'"
    );
    let rows = all.iter().map(|(id, due)| json!([id.hex(), due.sortable()])).collect();
    sql(update).bind(dialect::rows(rows)).execute(tx).map(|_| ())
}

#[derive(Queryable)]
struct TaskRow {
    id: DockTaskId,
    location_id: LocationId,
    inbound_shipment_id: InboundShipmentId,
    kind: TaskKind,
    state: TaskState,
    sscc: Option<String>,
    match_id: Option<DockMatchId>,
    fulfilment_order_id: Option<FulfilmentOrderId>,
    variant_id: Option<VariantId>,
    sku: Option<String>,
    quantity: Option<i64>,
    created_at: Instant,
    ended_at: Option<Instant>,
    ended_by: Option<String>,
}

#[rustfmt::skip]
type TaskTypes = (
    UidSql, UidSql, UidSql, Text, Text, Nullable<Text>, Nullable<UidSql>, Nullable<UidSql>, Nullable<UidSql>, Nullable<Text>,
    Nullable<BigInt>, InstantSql, Nullable<InstantSql>, Nullable<Text>,
);
const TASK: &str = "id, location_id, inbound_shipment_id, kind, state, sscc, match_id, fulfilment_order_id, variant_id, sku, quantity, \
     created_at, ended_at, ended_by";
const TASKS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("location_id", Col::Uid),
    ("inbound_shipment_id", Col::Uid),
    ("kind", Col::Text),
    ("state", Col::Text),
    ("sscc", Col::Text),
    ("match_id", Col::Uid),
    ("fulfilment_order_id", Col::Uid),
    ("variant_id", Col::Uid),
    ("sku", Col::Text),
    ("quantity", Col::Int),
    ("created_at", Col::At),
];

fn load_tasks(tx: &mut Tx, query: Sql) -> Result<Vec<DockTask>> {
    let one = |row: TaskRow| DockTask {
        id: row.id,
        location_id: row.location_id,
        inbound_shipment_id: row.inbound_shipment_id,
        kind: row.kind,
        state: row.state,
        sscc: row.sscc,
        match_id: row.match_id,
        fulfilment_order_id: row.fulfilment_order_id,
        variant_id: row.variant_id,
        sku: row.sku,
        quantity: row.quantity,
        created_at: row.created_at,
        ended_at: row.ended_at,
        ended_by: row.ended_by,
    };
    Ok(query.load::<TaskTypes, TaskRow>(tx)?.into_iter().map(one).collect())
}

/// Writes tasks with one statement.
pub(super) fn insert_tasks(tx: &mut Tx, tasks: &[DockTask]) -> Result<()> {
    let row = |one: &DockTask| {
        vec![
            one.id.into(),
            one.location_id.into(),
            one.inbound_shipment_id.into(),
            one.kind.as_str().into(),
            one.state.as_str().into(),
            one.sscc.clone().into(),
            one.match_id.into(),
            one.fulfilment_order_id.into(),
            one.variant_id.into(),
            one.sku.clone().into(),
            one.quantity.into(),
            one.created_at.into(),
        ]
    };
    insert_many(tx, "dock_tasks", TASKS, tasks.iter().map(row).collect()).map(|_| ())
}

pub(super) fn task(tx: &mut Tx, id: DockTaskId) -> Result<Option<DockTask>> {
    Ok(load_tasks(tx, sql(format!("SELECT {TASK} FROM dock_tasks WHERE id = ?")).bind(id))?.pop())
}

/// Tasks at a dock, the newest first, from behind one of them.
pub(super) fn task_page(tx: &mut Tx, at: At, before: Option<DockTaskId>, limit: i64) -> Result<Vec<DockTask>> {
    load_tasks(tx, page(TASK, "dock_tasks", at, before.map(Bind::from), limit))
}

/// The open tasks of shipments.
pub(super) fn open_tasks_of(tx: &mut Tx, shipments: &[InboundShipmentId]) -> Result<Vec<DockTask>> {
    if shipments.is_empty() {
        return Ok(Vec::new());
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT {TASK} FROM dock_tasks WHERE inbound_shipment_id IN (SELECT wanted FROM {list}) AND state = 'open' ORDER BY id"
    );
    load_tasks(tx, sql(query).bind(ids(shipments.iter().copied())))
}

/// The open tasks at a location with a handling unit or some of these variants: 20 at most.
pub(in crate::fulfilment) fn open_tasks(
    tx: &mut Tx,
    location: LocationId,
    (sscc, variants): (Option<&str>, &[VariantId]),
) -> Result<Vec<DockTask>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT {TASK} FROM dock_tasks WHERE location_id = ? AND state = 'open' \
         AND (sscc = ? OR variant_id IN (SELECT wanted FROM {list})) ORDER BY id LIMIT 20"
    );
    let query = sql(query).bind(location).bind(sscc.map(str::to_owned)).bind(ids(variants.iter().copied()));
    load_tasks(tx, query)
}

/// Ends open tasks. False when one of them has ended before.
pub(super) fn end_tasks(
    tx: &mut Tx,
    now: Instant,
    tasks: &[DockTaskId],
    (to, by): (TaskState, Option<&str>),
) -> Result<bool> {
    if tasks.is_empty() {
        return Ok(true);
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let update = format!(
        "UPDATE dock_tasks SET state = ?, ended_at = ?, ended_by = ? FROM {list} WHERE id = list.wanted AND state = 'open'"
    );
    let update = sql(update).bind(to.as_str()).bind(now).bind(by.map(str::to_owned));
    Ok(update.bind(ids(tasks.iter().copied())).execute(tx)? == tasks.len())
}

/// Whether a match still has a task of a kind to be done.
pub(super) fn has_open(tx: &mut Tx, of: DockMatchId, kind: TaskKind) -> Result<bool> {
    let query = sql("SELECT count(*) FROM dock_tasks WHERE match_id = ? AND kind = ? AND state = 'open'");
    Ok(query.bind(of).bind(kind.as_str()).first::<BigInt, i64>(tx)?.unwrap_or_default() > 0)
}

/// What crossed a dock from one instant to another.
pub(super) fn crossed(tx: &mut Tx, location: LocationId, (from, until): (Instant, Instant)) -> Result<Vec<Crossed>> {
    let query = sql("SELECT way, sscc IS NOT NULL, quantity, received_at, ended_at FROM dock_matches \
         WHERE location_id = ? AND state = 'done' AND ended_at >= ? AND ended_at < ? AND received_at IS NOT NULL");
    let query = query.bind(location).bind(from).bind(until);
    type Row = (Way, bool, i64, Instant, Instant);
    let rows = query.load::<(Text, Bool, BigInt, InstantSql, InstantSql), Row>(tx)?;
    let one = |(way, unopened, quantity, received_at, ended_at): Row| Crossed {
        way,
        unopened,
        quantity,
        received_at,
        ended_at,
    };
    Ok(rows.into_iter().map(one).collect())
}

/// Forgets what people have done at docks before an instant, and matches that came to nothing; how many of the more of both, `limit`
/// at most. What was matched and done stays: an inbound line's count is its sum.
pub(in crate::fulfilment) fn purge(tx: &mut Tx, before: Instant, limit: i64) -> Result<usize> {
    let tasks = "DELETE FROM dock_tasks WHERE id IN (SELECT id FROM dock_tasks WHERE state IN ('done', 'cancelled') \
                 AND ended_at < ? ORDER BY ended_at LIMIT ?)";
    let matches = "DELETE FROM dock_matches WHERE id IN (SELECT id FROM dock_matches WHERE state = 'cancelled' \
                   AND ended_at < ? ORDER BY ended_at LIMIT ?)";
    let tasks = sql(tasks).bind(before).bind(limit).execute(tx)?;
    Ok(tasks.max(sql(matches).bind(before).bind(limit).execute(tx)?))
}

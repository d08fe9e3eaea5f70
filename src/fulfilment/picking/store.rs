//! The only file that touches `waves`, `wave_orders` and `wave_shorts`.

use std::collections::HashSet;

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Text},
};
use serde_json::json;

use super::model::{Put, Short, Wave, WaveCommand, WaveDetails, WaveState};
use crate::{
    db::{Col, Doc, DocSql, InstantSql, Sql, Tx, UidSql, dialect, newest_at, sql},
    error::{Error, Result},
    fulfilment::Pieces,
    kernel::{
        Instant,
        ids::{FulfilmentOrderId, LocationId, WaveId},
    },
};

#[derive(Queryable)]
struct Row {
    id: WaveId,
    location_id: LocationId,
    state: WaveState,
    doc: Doc<WaveDetails>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
}

type Columns = (UidSql, UidSql, Text, DocSql, BigInt, InstantSql, InstantSql);
const SELECTED: &str = "id, location_id, state, doc, version, created_at, updated_at";

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<Wave>> {
    let wave = |row: Row| Wave {
        id: row.id,
        location_id: row.location_id,
        name: row.doc.0.name,
        zone: row.doc.0.zone,
        state: row.state,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(wave).collect())
}

pub(super) fn insert(tx: &mut Tx, wave: &Wave) -> Result<()> {
    let details = WaveDetails { name: wave.name.clone(), zone: wave.zone.clone() };
    sql(format!("INSERT INTO waves ({SELECTED}) VALUES (?, ?, ?, ?, ?, ?, ?)"))
        .bind(wave.id)
        .bind(wave.location_id)
        .bind(wave.state.as_str())
        .bind(Doc(serde_json::to_value(details)?))
        .bind(wave.version)
        .bind(wave.created_at)
        .bind(wave.updated_at)
        .execute(tx)?;
    Ok(())
}

pub(super) fn get(tx: &mut Tx, id: WaveId) -> Result<Option<Wave>> {
    Ok(load(tx, sql(format!("SELECT {SELECTED} FROM waves WHERE id = ?")).bind(id))?.pop())
}

/// The same, locked until the end of the transaction.
pub(super) fn lock(tx: &mut Tx, id: WaveId) -> Result<Option<Wave>> {
    let query = format!("SELECT {SELECTED} FROM waves WHERE id = ?{}", dialect::for_update(tx));
    Ok(load(tx, sql(query).bind(id))?.pop())
}

/// Waves of locations, the newest first, before one of them.
pub(super) fn page(
    tx: &mut Tx,
    (locations, state): (Option<&[LocationId]>, Option<WaveState>),
    before: Option<WaveId>,
    limit: i64,
) -> Result<Vec<Wave>> {
    let select = format!("SELECT {SELECTED} FROM waves");
    let query = newest_at(tx, &select, (locations, state.map(WaveState::as_str)), before, limit);
    load(tx, query)
}

/// Writes the state of a wave that was seen in another, which takes the command. False when it is in none that does any more.
pub(super) fn save(tx: &mut Tx, wave: &Wave, seen: WaveState, command: WaveCommand) -> Result<()> {
    let update = sql(
        "UPDATE waves SET state = ?, version = version + 1, updated_at = ? WHERE id = ? AND state = ? AND version = ?",
    )
    .bind(wave.state.as_str())
    .bind(wave.updated_at)
    .bind(wave.id)
    .bind(seen.as_str())
    .bind(wave.version - 1);
    match update.execute(tx)? {
        1 => Ok(()),
        _ => Err(Error::conflict(format!("the wave has changed meanwhile: `{command}` is not possible"))),
    }
}

/// Takes fulfilment orders into a wave, each into its place, those left out that are in another; gives which were taken.
pub(super) fn take(
    tx: &mut Tx,
    wave: WaveId,
    wanted: &[(FulfilmentOrderId, i64)],
) -> Result<HashSet<FulfilmentOrderId>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid), ("place", Col::Int), ("wave", Col::Uid), ("own", Col::Bool)]);
    // In the order of the keys: two that want the same wait for each other in the same order.
    let insert = format!(
        "INSERT INTO wave_orders (wave_id, fulfilment_order_id, put, held) SELECT wave, wanted, place, own FROM {list} \
         WHERE true ORDER BY wanted ON CONFLICT (fulfilment_order_id) WHERE held DO NOTHING RETURNING fulfilment_order_id"
    );
    let rows = wanted.iter().map(|(id, put)| json!([id.hex(), put, wave.hex(), true]));
    let taken = sql(insert).bind(dialect::rows(rows.collect())).load::<UidSql, FulfilmentOrderId>(tx)?;
    Ok(taken.into_iter().collect())
}

/// Which of these are in a wave.
pub(super) fn held(tx: &mut Tx, ids: &[FulfilmentOrderId]) -> Result<HashSet<FulfilmentOrderId>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query =
        format!("SELECT fulfilment_order_id FROM {list} JOIN wave_orders ON fulfilment_order_id = wanted WHERE held");
    let wanted = dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect());
    Ok(sql(query).bind(wanted).load::<UidSql, FulfilmentOrderId>(tx)?.into_iter().collect())
}

/// Lets a wave's fulfilment orders go into others.
pub(super) fn let_go(tx: &mut Tx, wave: WaveId) -> Result<()> {
    sql("UPDATE wave_orders SET held = ? WHERE wave_id = ? AND held").bind(false).bind(wave).execute(tx)?;
    Ok(())
}

/// The fulfilment orders of a wave with their places, in the order of these.
pub(super) fn members(tx: &mut Tx, wave: WaveId) -> Result<Vec<(FulfilmentOrderId, i64)>> {
    let query = sql("SELECT fulfilment_order_id, put FROM wave_orders WHERE wave_id = ? ORDER BY put").bind(wave);
    query.load::<(UidSql, BigInt), (FulfilmentOrderId, i64)>(tx)
}

/// What was not found in a wave.
pub(super) fn shorts(tx: &mut Tx, wave: WaveId) -> Result<Vec<Short>> {
    type Columns = (UidSql, BigInt, BigInt, BigInt, Text, InstantSql);
    type Row = (FulfilmentOrderId, i64, i64, i64, String, Instant);
    let query = sql(
        "SELECT fulfilment_order_id, line_no, pieces, planned, reason, noted_at FROM wave_shorts WHERE wave_id = ? \
         ORDER BY noted_at, fulfilment_order_id, line_no",
    );
    let rows = query.bind(wave).load::<Columns, Row>(tx)?;
    let short = |(fulfilment_order_id, line_no, pieces, planned, reason, noted_at): Row| {
        let line_no = i32::try_from(line_no).map_err(Error::internal)?;
        Ok(Short { fulfilment_order_id, line_no, pieces, planned, reason, noted_at })
    };
    rows.into_iter().map(short).collect()
}

/// Notes that pieces were not found, beside those of the same lines that were not found before.
pub(super) fn add_shorts(tx: &mut Tx, now: Instant, wave: WaveId, missing: &[Put], reason: &str) -> Result<()> {
    let columns = [
        ("wave", Col::Uid),
        ("work", Col::Uid),
        ("line", Col::Int),
        ("missing", Col::Int),
        ("why", Col::Text),
        ("since", Col::At),
    ];
    let list = dialect::list(tx, &columns);
    let upsert = format!(
        "INSERT INTO wave_shorts (wave_id, fulfilment_order_id, line_no, pieces, reason, noted_at) \
         SELECT wave, work, line, missing, why, since FROM {list} WHERE true \
         ON CONFLICT (wave_id, fulfilment_order_id, line_no) DO UPDATE SET pieces = wave_shorts.pieces + excluded.pieces, \
         reason = excluded.reason, noted_at = excluded.noted_at"
    );
    let row = |put: &Put| {
        json!([wave.hex(), put.fulfilment_order_id.hex(), put.line_no, put.quantity, reason, now.sortable()])
    };
    sql(upsert).bind(dialect::rows(missing.iter().map(row).collect())).execute(tx)?;
    Ok(())
}

/// Notes that pieces of a fulfilment order which were not found were planned anew: they are no part any more of what its open wave lacks.
pub(super) fn planned_anew(tx: &mut Tx, work: FulfilmentOrderId, pieces: &[Pieces]) -> Result<()> {
    let list = dialect::list(tx, &[("line", Col::Int), ("anew", Col::Int)]);
    let update = format!(
        "UPDATE wave_shorts SET planned = CASE WHEN planned + anew > pieces THEN pieces ELSE planned + anew END \
         FROM {list} WHERE wave_shorts.line_no = line AND wave_shorts.fulfilment_order_id = ? \
         AND wave_id IN (SELECT id FROM waves WHERE state NOT IN ('done', 'cancelled'))"
    );
    let rows = dialect::rows(pieces.iter().map(|one| json!([one.line_no, one.quantity.get()])).collect());
    sql(update).bind(rows).bind(work).execute(tx).map(drop)
}

/// Forgets waves that ended before an instant, the oldest first, with what was in them; how many, `limit` at most.
pub(super) fn purge(tx: &mut Tx, before: Instant, limit: i64) -> Result<usize> {
    // One that still holds work, which does not happen, keeps it.
    let query = sql("SELECT id FROM waves WHERE state IN ('done', 'cancelled') AND updated_at < ? AND NOT EXISTS ( \
           SELECT 1 FROM wave_orders AS o WHERE o.wave_id = waves.id AND o.held) ORDER BY updated_at LIMIT ?");
    let gone = query.bind(before).bind(limit).load::<UidSql, WaveId>(tx)?;
    if gone.is_empty() {
        return Ok(0);
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    for (table, column) in [("wave_shorts", "wave_id"), ("wave_orders", "wave_id"), ("waves", "id")] {
        let rows = dialect::rows(gone.iter().map(|id| json!([id.hex()])).collect());
        sql(format!("DELETE FROM {table} WHERE {column} IN (SELECT wanted FROM {list})")).bind(rows).execute(tx)?;
    }
    Ok(gone.len())
}

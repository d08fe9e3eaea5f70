//! The only file that touches `transfers` and `transfer_lines`.

use std::collections::HashMap;

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Nullable, Text},
};
use serde_json::json;

use super::model::{Transfer, TransferDetails, TransferLine, TransferState, TransferStep};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, insert_many, sql},
    error::{Error, Result},
    kernel::{
        Instant,
        ids::{LocationId, TransferId, VariantId},
    },
};

#[derive(Queryable)]
struct Row {
    id: TransferId,
    from: LocationId,
    to: LocationId,
    state: TransferState,
    expected_at: Option<Instant>,
    doc: Doc<TransferDetails>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
}

type Types = (UidSql, UidSql, UidSql, Text, Nullable<InstantSql>, DocSql, BigInt, InstantSql, InstantSql);
const TRANSFER: &str = "id, from_location_id, to_location_id, state, expected_at, doc, version, created_at, updated_at";
const TRANSFERS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("from_location_id", Col::Uid),
    ("to_location_id", Col::Uid),
    ("state", Col::Text),
    ("expected_at", Col::At),
    ("doc", Col::Doc),
    ("version", Col::Int),
    ("created_at", Col::At),
    ("updated_at", Col::At),
];
const LINES: &[(&str, Col)] = &[
    ("transfer_id", Col::Uid),
    ("line_no", Col::Int),
    ("variant_id", Col::Uid),
    ("sku", Col::Text),
    ("quantity", Col::Int),
    ("shipped", Col::Int),
    ("received", Col::Int),
    ("damaged", Col::Int),
    ("lost", Col::Int),
    ("surplus", Col::Int),
];

fn details(one: &Transfer) -> TransferDetails {
    let corrections = one.corrections.clone();
    TransferDetails { note: one.note.clone(), reason: one.reason.clone(), shipped_at: one.shipped_at, corrections }
}

/// Writes a transfer with its lines: two statements.
pub(super) fn insert(tx: &mut Tx, one: &Transfer) -> Result<()> {
    let row = vec![
        one.id.into(),
        one.from_location_id.into(),
        one.to_location_id.into(),
        one.state.as_str().into(),
        one.expected_at.into(),
        Json::of(&details(one))?.into(),
        one.version.into(),
        one.created_at.into(),
        one.updated_at.into(),
    ];
    insert_many(tx, "transfers", TRANSFERS, vec![row])?;
    let line = |line: &TransferLine| {
        vec![
            one.id.into(),
            line.line_no.into(),
            line.variant_id.into(),
            line.sku.as_str().into(),
            line.quantity.into(),
            line.shipped.into(),
            line.received.into(),
            line.damaged.into(),
            line.lost.into(),
            line.surplus.into(),
        ]
    };
    insert_many(tx, "transfer_lines", LINES, one.lines.iter().map(line).collect()).map(|_| ())
}

/// Reads transfers, and their lines with a second statement.
fn load(tx: &mut Tx, query: Sql) -> Result<Vec<Transfer>> {
    let rows = query.load::<Types, Row>(tx)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT transfer_id, line_no, variant_id, sku, quantity, shipped, received, damaged, lost, surplus \
         FROM transfer_lines WHERE transfer_id IN (SELECT wanted FROM {wanted}) ORDER BY line_no"
    );
    type LineTypes = (UidSql, BigInt, UidSql, Text, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt);
    type LineRow = (TransferId, i64, VariantId, String, i64, i64, i64, i64, i64, i64);
    let ids = dialect::rows(rows.iter().map(|row| json!([row.id.hex()])).collect());
    let mut of: HashMap<TransferId, Vec<TransferLine>> = HashMap::new();
    for row in sql(query).bind(ids).load::<LineTypes, LineRow>(tx)? {
        let (owner, line_no, variant_id, sku, quantity, shipped, received, damaged, lost, surplus) = row;
        let line_no = i32::try_from(line_no).map_err(Error::internal)?;
        let line = TransferLine { line_no, variant_id, sku, quantity, shipped, received, damaged, lost, surplus };
        of.entry(owner).or_default().push(line);
    }
    let transfer = |row: Row| Transfer {
        id: row.id,
        from_location_id: row.from,
        to_location_id: row.to,
        state: row.state,
        expected_at: row.expected_at,
        shipped_at: row.doc.0.shipped_at,
        note: row.doc.0.note,
        reason: row.doc.0.reason,
        lines: of.remove(&row.id).unwrap_or_default(),
        corrections: row.doc.0.corrections,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    Ok(rows.into_iter().map(transfer).collect())
}

pub(super) fn get(tx: &mut Tx, id: TransferId) -> Result<Option<Transfer>> {
    Ok(load(tx, sql(format!("SELECT {TRANSFER} FROM transfers WHERE id = ?")).bind(id))?.pop())
}

/// The same, locked until the end of the transaction.
pub(super) fn lock(tx: &mut Tx, id: TransferId) -> Result<Option<Transfer>> {
    let lock = dialect::for_update(tx);
    sql(format!("SELECT id FROM transfers WHERE id = ?{lock}")).bind(id).load::<UidSql, TransferId>(tx)?;
    get(tx, id)
}

/// Transfers from or to these locations, the newest first, from behind one of them.
pub(super) fn page(
    tx: &mut Tx,
    (state, locations): (Option<TransferState>, Option<&[LocationId]>),
    before: Option<TransferId>,
    limit: i64,
) -> Result<Vec<Transfer>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let (mut text, mut binds) = (format!("SELECT {TRANSFER} FROM transfers WHERE 1 = 1"), Vec::<Bind>::new());
    if let Some(state) = state {
        text.push_str(" AND state = ?");
        binds.push(state.as_str().into());
    }
    if let Some(locations) = locations {
        let own = format!("(SELECT wanted FROM {list})");
        text.push_str(&format!(" AND (from_location_id IN {own} OR to_location_id IN {own})"));
        let rows = || dialect::rows(locations.iter().map(|id| json!([id.hex()])).collect());
        binds.extend([rows(), rows()]);
    }
    if let Some(before) = before {
        text.push_str(" AND id < ?");
        binds.push(before.into());
    }
    text.push_str(" ORDER BY id DESC LIMIT ?");
    load(tx, sql(text).bind_all(binds).bind(limit))
}

/// Saves a transfer whose version has been counted up, its lines apart. False when it has changed since.
pub(super) fn save(tx: &mut Tx, one: &Transfer) -> Result<bool> {
    let update = sql("UPDATE transfers SET state = ?, doc = ?, version = version + 1, updated_at = ? \
         WHERE id = ? AND version = ?");
    let update = update.bind(one.state.as_str()).bind(Doc(serde_json::to_value(details(one))?)).bind(one.updated_at);
    Ok(update.bind(one.id).bind(one.version - 1).execute(tx)? == 1)
}

/// Moves the quantities of lines, each once. The constraints refuse what is not there.
pub(super) fn move_lines(tx: &mut Tx, id: TransferId, steps: &[TransferStep]) -> Result<bool> {
    if steps.is_empty() {
        return Ok(true);
    }
    let columns = [
        ("line", Col::Int),
        ("d_shipped", Col::Int),
        ("d_received", Col::Int),
        ("d_damaged", Col::Int),
        ("d_lost", Col::Int),
        ("d_surplus", Col::Int),
    ];
    let list = dialect::list(tx, &columns);
    let update = format!(
        "UPDATE transfer_lines SET shipped = shipped + d_shipped, received = received + d_received, \
         damaged = damaged + d_damaged, lost = lost + d_lost, surplus = surplus + d_surplus \
         FROM {list} WHERE transfer_id = ? AND line_no = list.line"
    );
    let row =
        |step: &TransferStep| json!([step.line_no, step.shipped, step.received, step.damaged, step.lost, step.surplus]);
    Ok(sql(update).bind(dialect::rows(steps.iter().map(row).collect())).bind(id).execute(tx)? == steps.len())
}

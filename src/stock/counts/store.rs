//! The only file that touches `stock_counts` and `stock_count_lines`.

use std::collections::HashMap;

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use serde_json::json;

use super::model::{CountDetails, CountLine, CountState, StockCount};
use crate::{
    db::{Col, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, insert_many, newest_at, sql},
    error::{Error, Result},
    kernel::{
        Instant,
        ids::{LocationId, StockCountId, VariantId},
    },
    stock::LevelKey,
};

#[derive(Queryable)]
struct Row {
    id: StockCountId,
    location_id: LocationId,
    state: CountState,
    doc: Doc<CountDetails>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
}

type Types = (UidSql, UidSql, Text, DocSql, BigInt, InstantSql, InstantSql);
const COUNT: &str = "id, location_id, state, doc, version, created_at, updated_at";
const COUNTS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("location_id", Col::Uid),
    ("state", Col::Text),
    ("doc", Col::Doc),
    ("version", Col::Int),
    ("created_at", Col::At),
    ("updated_at", Col::At),
];
const LINES: &[(&str, Col)] = &[
    ("stock_count_id", Col::Uid),
    ("variant_id", Col::Uid),
    ("sku", Col::Text),
    ("rounds", Col::Int),
    ("recount", Col::Bool),
];

/// Writes a count with its lines: two statements.
pub(super) fn insert(tx: &mut Tx, one: &StockCount) -> Result<()> {
    let details = CountDetails { name: one.name.clone(), tolerance: one.tolerance };
    let row = vec![
        one.id.into(),
        one.location_id.into(),
        one.state.as_str().into(),
        Json::of(&details)?.into(),
        one.version.into(),
        one.created_at.into(),
        one.updated_at.into(),
    ];
    insert_many(tx, "stock_counts", COUNTS, vec![row])?;
    let line = |line: &CountLine| {
        vec![one.id.into(), line.variant_id.into(), line.sku.as_str().into(), line.rounds.into(), line.recount.into()]
    };
    insert_many(tx, "stock_count_lines", LINES, one.lines.iter().map(line).collect()).map(|_| ())
}

#[derive(Queryable)]
struct LineRow {
    owner: StockCountId,
    variant_id: VariantId,
    sku: String,
    rounds: i64,
    recount: bool,
    counted: Option<i64>,
    on_hand: Option<i64>,
    level_version: Option<i64>,
    settled_by: Option<i64>,
    counted_at: Option<Instant>,
    counted_by: Option<String>,
}

#[rustfmt::skip]
type LineTypes = (
    UidSql, UidSql, Text, BigInt, Bool, Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>, Nullable<InstantSql>,
    Nullable<Text>,
);

/// Reads counts, and their lines with a second statement.
fn load(tx: &mut Tx, query: Sql) -> Result<Vec<StockCount>> {
    let rows = query.load::<Types, Row>(tx)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT stock_count_id, variant_id, sku, rounds, recount, counted, on_hand, level_version, settled_by, counted_at, \
           counted_by FROM stock_count_lines WHERE stock_count_id IN (SELECT wanted FROM {wanted}) ORDER BY sku"
    );
    let ids = dialect::rows(rows.iter().map(|row| json!([row.id.hex()])).collect());
    let mut of: HashMap<StockCountId, Vec<CountLine>> = HashMap::new();
    for row in sql(query).bind(ids).load::<LineTypes, LineRow>(tx)? {
        let line = CountLine {
            variant_id: row.variant_id,
            sku: row.sku,
            rounds: row.rounds,
            recount: row.recount,
            counted: row.counted,
            on_hand: row.on_hand,
            counted_at: row.counted_at,
            counted_by: row.counted_by,
            level_version: row.level_version,
            settled_by: row.settled_by,
        };
        of.entry(row.owner).or_default().push(line);
    }
    let count = |row: Row| StockCount {
        id: row.id,
        location_id: row.location_id,
        name: row.doc.0.name,
        state: row.state,
        tolerance: row.doc.0.tolerance,
        lines: of.remove(&row.id).unwrap_or_default(),
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    Ok(rows.into_iter().map(count).collect())
}

pub(super) fn get(tx: &mut Tx, id: StockCountId) -> Result<Option<StockCount>> {
    Ok(load(tx, sql(format!("SELECT {COUNT} FROM stock_counts WHERE id = ?")).bind(id))?.pop())
}

/// The same, locked until the end of the transaction.
pub(super) fn lock(tx: &mut Tx, id: StockCountId) -> Result<Option<StockCount>> {
    let lock = dialect::for_update(tx);
    sql(format!("SELECT id FROM stock_counts WHERE id = ?{lock}")).bind(id).load::<UidSql, StockCountId>(tx)?;
    get(tx, id)
}

/// When levels were last counted, of counts that are approved; those that never were are absent.
pub(in crate::stock) fn last_counted(tx: &mut Tx, levels: &[LevelKey]) -> Result<Vec<(LevelKey, Instant)>> {
    let list = dialect::list(tx, &[("variant", Col::Uid), ("location", Col::Uid)]);
    // The counts of a location lead: lines have no index by article.
    let query = format!(
        "SELECT list.variant, list.location, max(l.counted_at) FROM {list} JOIN stock_counts AS c ON c.location_id = list.location \
         JOIN stock_count_lines AS l ON l.stock_count_id = c.id AND l.variant_id = list.variant \
         WHERE c.state = 'approved' AND l.counted_at IS NOT NULL GROUP BY list.variant, list.location"
    );
    let rows = levels.iter().map(|(variant, location)| json!([variant.hex(), location.hex()])).collect();
    type Row = (VariantId, LocationId, Instant);
    let found = sql(query).bind(dialect::rows(rows)).load::<(UidSql, UidSql, InstantSql), Row>(tx)?;
    Ok(found.into_iter().map(|(variant, location, at)| ((variant, location), at)).collect())
}

/// Counts at these locations, the newest first, from behind one of them.
pub(super) fn page(
    tx: &mut Tx,
    (state, locations): (Option<CountState>, Option<&[LocationId]>),
    before: Option<StockCountId>,
    limit: i64,
) -> Result<Vec<StockCount>> {
    let select = format!("SELECT {COUNT} FROM stock_counts");
    let query = newest_at(tx, &select, (locations, state.map(CountState::as_str)), before, limit);
    load(tx, query)
}

/// Saves the state of a count whose version has been counted up. False when it has changed since.
pub(super) fn save(tx: &mut Tx, one: &StockCount) -> Result<bool> {
    let update =
        sql("UPDATE stock_counts SET state = ?, version = version + 1, updated_at = ? WHERE id = ? AND version = ?");
    let update = update.bind(one.state.as_str()).bind(one.updated_at).bind(one.id).bind(one.version - 1);
    Ok(update.execute(tx)? == 1)
}

/// Writes what was counted of lines, each once.
pub(super) fn record(tx: &mut Tx, (at, by): (Instant, &str), id: StockCountId, lines: &[CountLine]) -> Result<bool> {
    let columns = [
        ("wanted", Col::Uid),
        ("n_rounds", Col::Int),
        ("again", Col::Bool),
        ("n_counted", Col::Int),
        ("n_on_hand", Col::Int),
        ("n_version", Col::Int),
        ("n_settled", Col::Int),
    ];
    let list = dialect::list(tx, &columns);
    let update = format!(
        "UPDATE stock_count_lines SET rounds = n_rounds, recount = list.again, counted = n_counted, on_hand = n_on_hand, \
         level_version = n_version, settled_by = n_settled, counted_at = ?, counted_by = ? FROM {list} WHERE stock_count_id = ? AND variant_id = list.wanted"
    );
    let row = |line: &CountLine| {
        let CountLine { rounds, recount, counted, on_hand, level_version, settled_by, .. } = line;
        json!([line.variant_id.hex(), rounds, recount, counted, on_hand, level_version, settled_by])
    };
    let rows = dialect::rows(lines.iter().map(row).collect());
    Ok(sql(update).bind(at).bind(by).bind(rows).bind(id).execute(tx)? == lines.len())
}

/// Lets lines be counted again.
pub(super) fn count_again(tx: &mut Tx, id: StockCountId, variants: &[VariantId]) -> Result<()> {
    if variants.is_empty() {
        return Ok(());
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let update = format!(
        "UPDATE stock_count_lines SET recount = ? WHERE stock_count_id = ? AND variant_id IN (SELECT wanted FROM {list})"
    );
    let wanted = dialect::rows(variants.iter().map(|id| json!([id.hex()])).collect());
    match sql(update).bind(true).bind(id).bind(wanted).execute(tx)? == variants.len() {
        true => Ok(()),
        false => Err(Error::internal("a line of a count has gone")),
    }
}

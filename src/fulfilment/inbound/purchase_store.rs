//! The only file that touches `purchase_orders` and `purchase_order_lines`, beside what [`super::store`] reads of what is expected.

use std::collections::HashMap;

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Nullable, Text},
};
use serde_json::json;

use super::{
    model::{PurchaseDetails, PurchaseLine, PurchaseOrder, PurchaseState},
    store::{ids, number},
};
use crate::{
    db::{Col, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, insert_many, newest_at, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{LocationId, PurchaseOrderId, VariantId},
    },
};

#[derive(Queryable)]
struct PurchaseRow {
    id: PurchaseOrderId,
    number: String,
    supplier: String,
    location_id: LocationId,
    state: PurchaseState,
    expected_at: Option<Instant>,
    doc: Doc<PurchaseDetails>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
}

#[rustfmt::skip]
type PurchaseTypes = (
    UidSql, Text, Text, UidSql, Text, Nullable<InstantSql>, DocSql, BigInt, InstantSql, InstantSql,
);
const PURCHASE: &str = "id, number, supplier, location_id, state, expected_at, doc, version, created_at, updated_at";
const PURCHASES: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("number", Col::Text),
    ("supplier", Col::Text),
    ("location_id", Col::Uid),
    ("state", Col::Text),
    ("expected_at", Col::At),
    ("doc", Col::Doc),
    ("version", Col::Int),
    ("created_at", Col::At),
    ("updated_at", Col::At),
];
const PURCHASE_LINES: &[(&str, Col)] = &[
    ("purchase_order_id", Col::Uid),
    ("line_no", Col::Int),
    ("variant_id", Col::Uid),
    ("sku", Col::Text),
    ("ordered", Col::Int),
    ("announced", Col::Int),
    ("received", Col::Int),
    ("expected_at", Col::At),
];

/// Writes a purchase order with its lines: two statements.
pub(super) fn insert_purchase(tx: &mut Tx, order: &PurchaseOrder) -> Result<()> {
    let details = PurchaseDetails { reason: order.reason.clone() };
    let row = vec![
        order.id.into(),
        order.number.as_str().into(),
        order.supplier.as_str().into(),
        order.location_id.into(),
        order.state.as_str().into(),
        order.expected_at.into(),
        Json::of(&details)?.into(),
        order.version.into(),
        order.created_at.into(),
        order.updated_at.into(),
    ];
    insert_many(tx, "purchase_orders", PURCHASES, vec![row])?;
    let line = |line: &PurchaseLine| {
        vec![
            order.id.into(),
            line.line_no.into(),
            line.variant_id.into(),
            line.sku.as_str().into(),
            line.ordered.into(),
            line.announced.into(),
            line.received.into(),
            line.expected_at.into(),
        ]
    };
    insert_many(tx, "purchase_order_lines", PURCHASE_LINES, order.lines.iter().map(line).collect()).map(|_| ())
}

/// Reads purchase orders, and their lines with a second statement.
fn load_purchases(tx: &mut Tx, query: Sql) -> Result<Vec<PurchaseOrder>> {
    let rows = query.load::<PurchaseTypes, PurchaseRow>(tx)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT purchase_order_id, line_no, variant_id, sku, ordered, announced, received, expected_at \
         FROM purchase_order_lines WHERE purchase_order_id IN (SELECT wanted FROM {wanted}) ORDER BY line_no"
    );
    type Types = (UidSql, BigInt, UidSql, Text, BigInt, BigInt, BigInt, Nullable<InstantSql>);
    type Row = (PurchaseOrderId, i64, VariantId, String, i64, i64, i64, Option<Instant>);
    let lines = sql(query).bind(ids(rows.iter().map(|row| row.id))).load::<Types, Row>(tx)?;
    let mut of: HashMap<PurchaseOrderId, Vec<PurchaseLine>> = HashMap::new();
    for (owner, line_no, variant_id, sku, ordered, announced, received, expected_at) in lines {
        let line_no = number(line_no)?;
        let line = PurchaseLine { line_no, variant_id, sku, ordered, announced, received, expected_at };
        of.entry(owner).or_default().push(line);
    }
    let order = |row: PurchaseRow| PurchaseOrder {
        id: row.id,
        number: row.number,
        supplier: row.supplier,
        location_id: row.location_id,
        state: row.state,
        expected_at: row.expected_at,
        reason: row.doc.0.reason,
        lines: of.remove(&row.id).unwrap_or_default(),
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    Ok(rows.into_iter().map(order).collect())
}

pub(super) fn purchase(tx: &mut Tx, id: PurchaseOrderId) -> Result<Option<PurchaseOrder>> {
    let query = sql(format!("SELECT {PURCHASE} FROM purchase_orders WHERE id = ?")).bind(id);
    Ok(load_purchases(tx, query)?.pop())
}

/// The same, locked until the end of the transaction.
pub(super) fn lock_purchase(tx: &mut Tx, id: PurchaseOrderId) -> Result<Option<PurchaseOrder>> {
    let lock = dialect::for_update(tx);
    sql(format!("SELECT id FROM purchase_orders WHERE id = ?{lock}")).bind(id).load::<UidSql, PurchaseOrderId>(tx)?;
    purchase(tx, id)
}

/// Purchase orders of these locations, the newest first, from behind one of them.
pub(super) fn purchase_page(
    tx: &mut Tx,
    (state, locations): (Option<PurchaseState>, Option<&[LocationId]>),
    before: Option<PurchaseOrderId>,
    limit: i64,
) -> Result<Vec<PurchaseOrder>> {
    let select = format!("SELECT {PURCHASE} FROM purchase_orders");
    let query = newest_at(tx, &select, (locations, state.map(PurchaseState::as_str)), before, limit);
    load_purchases(tx, query)
}

/// Saves the state of a purchase order whose version has been counted up. False when it has changed since.
pub(super) fn save_purchase(tx: &mut Tx, order: &PurchaseOrder) -> Result<bool> {
    let details = PurchaseDetails { reason: order.reason.clone() };
    let update = sql("UPDATE purchase_orders SET state = ?, doc = ?, version = version + 1, updated_at = ? \
         WHERE id = ? AND version = ?");
    let update = update.bind(order.state.as_str()).bind(Doc(serde_json::to_value(details)?)).bind(order.updated_at);
    Ok(update.bind(order.id).bind(order.version - 1).execute(tx)? == 1)
}

/// Adds to what is announced and received of lines of a purchase order; each line once.
pub(super) fn count_purchase(tx: &mut Tx, id: PurchaseOrderId, more: &[(i32, i64, i64)]) -> Result<bool> {
    let list = dialect::list(tx, &[("line", Col::Int), ("more_announced", Col::Int), ("more_received", Col::Int)]);
    let update = format!(
        "UPDATE purchase_order_lines SET announced = announced + more_announced, received = received + more_received \
         FROM {list} WHERE purchase_order_id = ? AND line_no = list.line"
    );
    let rows = more.iter().map(|(line, announced, received)| json!([line, announced, received])).collect();
    Ok(sql(update).bind(dialect::rows(rows)).bind(id).execute(tx)? == more.len())
}

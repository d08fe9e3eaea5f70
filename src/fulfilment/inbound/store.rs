//! The only file that touches `inbound_shipments`, `inbound_lines` and `inbound_units`.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use serde_json::{Value, json};

use super::{
    back::Back,
    model::{
        Docked, Expected, HandlingUnit, InboundDetails, InboundLine, InboundShipment, InboundState, Supply, Taken,
        UnitState,
    },
};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, insert_many, newest_at, sql},
    error::{Error, Result},
    kernel::{
        Instant,
        ids::{Id, InboundShipmentId, LocationId, PurchaseOrderId, VariantId},
    },
};

pub(super) fn number(line_no: i64) -> Result<i32> {
    i32::try_from(line_no).map_err(Error::internal)
}

pub(super) fn ids<K>(all: impl IntoIterator<Item = Id<K>>) -> Bind {
    dialect::rows(all.into_iter().map(|id| json!([id.hex()])).collect())
}

#[derive(Queryable)]
struct InboundRow {
    id: InboundShipmentId,
    reference: Option<String>,
    purchase_order_id: Option<PurchaseOrderId>,
    location_id: LocationId,
    state: InboundState,
    expected_at: Instant,
    arrived_at: Option<Instant>,
    received_at: Option<Instant>,
    doc: Doc<InboundDetails>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
}

#[rustfmt::skip]
type InboundTypes = (
    UidSql, Nullable<Text>, Nullable<UidSql>, UidSql, Text, InstantSql, Nullable<InstantSql>, Nullable<InstantSql>, DocSql, BigInt,
    InstantSql, InstantSql,
);
const INBOUND: &str = "id, reference, purchase_order_id, location_id, state, expected_at, arrived_at, received_at, doc, version, \
     created_at, updated_at";
const SHIPMENTS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("reference", Col::Text),
    ("purchase_order_id", Col::Uid),
    ("location_id", Col::Uid),
    ("state", Col::Text),
    ("expected_at", Col::At),
    ("doc", Col::Doc),
    ("version", Col::Int),
    ("created_at", Col::At),
    ("updated_at", Col::At),
];
const LINES: &[(&str, Col)] = &[
    ("inbound_shipment_id", Col::Uid),
    ("line_no", Col::Int),
    ("variant_id", Col::Uid),
    ("sku", Col::Text),
    ("sscc", Col::Text),
    ("lot", Col::Text),
    ("best_before", Col::Text),
    ("purchase_order_line", Col::Int),
    ("expected", Col::Int),
    ("received", Col::Int),
    ("surplus", Col::Int),
    ("short", Col::Int),
    ("matched", Col::Int),
    ("docked", Col::Int),
];
const UNITS: &[(&str, Col)] = &[("inbound_shipment_id", Col::Uid), ("sscc", Col::Text), ("state", Col::Text)];

fn details(one: &InboundShipment) -> InboundDetails {
    InboundDetails {
        supplier: one.supplier.clone(),
        over_tolerance_percent: one.over_tolerance_percent,
        reason: one.reason.clone(),
        corrections: one.corrections.clone(),
    }
}

/// Writes a shipment with its lines and handling units: three statements.
pub(super) fn insert(tx: &mut Tx, one: &InboundShipment) -> Result<()> {
    let row = vec![
        one.id.into(),
        one.reference.clone().into(),
        one.purchase_order_id.into(),
        one.location_id.into(),
        one.state.as_str().into(),
        one.expected_at.into(),
        Json::of(&details(one))?.into(),
        one.version.into(),
        one.created_at.into(),
        one.updated_at.into(),
    ];
    insert_many(tx, "inbound_shipments", SHIPMENTS, vec![row])?;
    let line = |line: &InboundLine| {
        vec![
            one.id.into(),
            line.line_no.into(),
            line.variant_id.into(),
            line.sku.as_str().into(),
            line.sscc.clone().into(),
            line.lot.clone().into(),
            line.best_before.map(|day| day.to_string()).into(),
            line.purchase_order_line.map(i64::from).into(),
            line.expected.into(),
            line.received.into(),
            line.surplus.into(),
            line.short.into(),
            line.matched.into(),
            line.docked.into(),
        ]
    };
    insert_many(tx, "inbound_lines", LINES, one.lines.iter().map(line).collect())?;
    let unit = |unit: &HandlingUnit| vec![one.id.into(), unit.sscc.as_str().into(), unit.state.as_str().into()];
    insert_many(tx, "inbound_units", UNITS, one.units.iter().map(unit).collect()).map(|_| ())
}

#[derive(Queryable)]
struct LineRow {
    owner: InboundShipmentId,
    line_no: i64,
    variant_id: VariantId,
    sku: String,
    sscc: Option<String>,
    lot: Option<String>,
    best_before: Option<String>,
    purchase_order_line: Option<i64>,
    expected: i64,
    received: i64,
    surplus: i64,
    short: i64,
    matched: i64,
    docked: i64,
}

#[rustfmt::skip]
type LineTypes = (
    UidSql, BigInt, UidSql, Text, Nullable<Text>, Nullable<Text>, Nullable<Text>, Nullable<BigInt>, BigInt, BigInt, BigInt, BigInt,
    BigInt, BigInt,
);

fn day(text: Option<String>) -> Result<Option<NaiveDate>> {
    text.map(|day| day.parse()).transpose().map_err(Error::internal)
}

fn line(row: LineRow) -> Result<InboundLine> {
    Ok(InboundLine {
        line_no: number(row.line_no)?,
        variant_id: row.variant_id,
        sku: row.sku,
        sscc: row.sscc,
        lot: row.lot,
        best_before: day(row.best_before)?,
        purchase_order_line: row.purchase_order_line.map(number).transpose()?,
        expected: row.expected,
        received: row.received,
        surplus: row.surplus,
        short: row.short,
        matched: row.matched,
        docked: row.docked,
    })
}

/// Reads shipments, their lines with a second statement, their units with a third.
fn load(tx: &mut Tx, query: Sql) -> Result<Vec<InboundShipment>> {
    let rows = query.load::<InboundTypes, InboundRow>(tx)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT inbound_shipment_id, line_no, variant_id, sku, sscc, lot, best_before, purchase_order_line, expected, \
         received, surplus, short, matched, docked FROM inbound_lines \
         WHERE inbound_shipment_id IN (SELECT wanted FROM {wanted}) ORDER BY line_no"
    );
    let mut lines: HashMap<InboundShipmentId, Vec<InboundLine>> = HashMap::new();
    for row in sql(query).bind(ids(rows.iter().map(|row| row.id))).load::<LineTypes, LineRow>(tx)? {
        lines.entry(row.owner).or_default().push(line(row)?);
    }
    let query = format!(
        "SELECT inbound_shipment_id, sscc, state, received_at, left_at FROM inbound_units \
         WHERE inbound_shipment_id IN (SELECT wanted FROM {wanted}) ORDER BY sscc"
    );
    type Types = (UidSql, Text, Text, Nullable<InstantSql>, Nullable<InstantSql>);
    type Row = (InboundShipmentId, String, UnitState, Option<Instant>, Option<Instant>);
    let mut units: HashMap<InboundShipmentId, Vec<HandlingUnit>> = HashMap::new();
    for (owner, sscc, state, received_at, left_at) in
        sql(query).bind(ids(rows.iter().map(|row| row.id))).load::<Types, Row>(tx)?
    {
        units.entry(owner).or_default().push(HandlingUnit { sscc, state, received_at, left_at });
    }
    let shipment = |row: InboundRow| InboundShipment {
        id: row.id,
        reference: row.reference,
        supplier: row.doc.0.supplier,
        purchase_order_id: row.purchase_order_id,
        location_id: row.location_id,
        state: row.state,
        expected_at: row.expected_at,
        arrived_at: row.arrived_at,
        received_at: row.received_at,
        over_tolerance_percent: row.doc.0.over_tolerance_percent,
        reason: row.doc.0.reason,
        lines: lines.remove(&row.id).unwrap_or_default(),
        units: units.remove(&row.id).unwrap_or_default(),
        corrections: row.doc.0.corrections,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    Ok(rows.into_iter().map(shipment).collect())
}

pub(super) fn get(tx: &mut Tx, id: InboundShipmentId) -> Result<Option<InboundShipment>> {
    Ok(load(tx, sql(format!("SELECT {INBOUND} FROM inbound_shipments WHERE id = ?")).bind(id))?.pop())
}

/// The same, locked until the end of the transaction.
pub(super) fn lock(tx: &mut Tx, id: InboundShipmentId) -> Result<Option<InboundShipment>> {
    let lock = dialect::for_update(tx);
    let locked = sql(format!("SELECT id FROM inbound_shipments WHERE id = ?{lock}")).bind(id);
    locked.load::<UidSql, InboundShipmentId>(tx)?;
    get(tx, id)
}

/// The shipment that a handling unit is in, the newest.
pub(in crate::fulfilment) fn by_sscc(tx: &mut Tx, sscc: &str) -> Result<Option<InboundShipment>> {
    let query = format!(
        "SELECT {INBOUND} FROM inbound_shipments WHERE id IN (SELECT inbound_shipment_id FROM inbound_units \
         WHERE sscc = ? AND state <> 'missing') ORDER BY id DESC LIMIT 1"
    );
    Ok(load(tx, sql(query).bind(sscc))?.pop())
}

/// Shipments to these locations, the newest first, from behind one of them.
pub(super) fn page(
    tx: &mut Tx,
    (state, locations): (Option<InboundState>, Option<&[LocationId]>),
    before: Option<InboundShipmentId>,
    limit: i64,
) -> Result<Vec<InboundShipment>> {
    let select = format!("SELECT {INBOUND} FROM inbound_shipments");
    let query = newest_at(tx, &select, (locations, state.map(InboundState::as_str)), before, limit);
    load(tx, query)
}

/// Saves a shipment whose version has been counted up, its lines apart. False when it has changed since.
pub(super) fn save(tx: &mut Tx, one: &InboundShipment) -> Result<bool> {
    let update =
        sql("UPDATE inbound_shipments SET state = ?, expected_at = ?, arrived_at = ?, received_at = ?, doc = ?, \
         version = version + 1, updated_at = ? WHERE id = ? AND version = ?");
    let update = update.bind(one.state.as_str()).bind(one.expected_at).bind(one.arrived_at).bind(one.received_at);
    let update = update.bind(Doc(serde_json::to_value(details(one))?)).bind(one.updated_at);
    Ok(update.bind(one.id).bind(one.version - 1).execute(tx)? == 1)
}

/// Books what has come of lines and what of it stays at the dock. False when one has not so much left.
pub(super) fn take(tx: &mut Tx, id: InboundShipmentId, taken: &[Taken], docked: &[Docked]) -> Result<bool> {
    let columns =
        [("line", Col::Int), ("come", Col::Int), ("more", Col::Int), ("unplanned", Col::Int), ("dock", Col::Int)];
    let list = dialect::list(tx, &columns);
    let update = format!(
        "UPDATE inbound_lines SET received = received + come, surplus = surplus + more, matched = matched - unplanned, \
         docked = docked + dock FROM {list} WHERE inbound_shipment_id = ? AND line_no = list.line \
         AND received + come + matched - unplanned <= expected + surplus + more - short AND matched >= unplanned"
    );
    let row = |one: &Taken| {
        let dock = docked.iter().find(|dock| dock.line_no == one.line_no);
        let (planned, docked) = dock.map_or((0, 0), |dock| (dock.planned, dock.docked));
        json!([one.line_no, one.quantity, one.surplus, planned, docked])
    };
    let rows: Vec<Value> = taken.iter().map(row).collect();
    let count = rows.len();
    Ok(sql(update).bind(dialect::rows(rows)).bind(id).execute(tx)? == count)
}

/// Moves handling units on. False when one of them is not where it was.
pub(super) fn move_units(
    tx: &mut Tx,
    now: Instant,
    id: InboundShipmentId,
    units: &[String],
    (from, to): (UnitState, UnitState),
) -> Result<bool> {
    if units.is_empty() {
        return Ok(true);
    }
    let list = dialect::list(tx, &[("unit", Col::Text)]);
    let update = format!(
        "UPDATE inbound_units SET state = ?, received_at = CASE WHEN received_at IS NULL AND ? THEN ? ELSE received_at END, \
         left_at = CASE WHEN ? THEN ? ELSE left_at END \
         FROM {list} WHERE inbound_shipment_id = ? AND sscc = list.unit AND state = ?"
    );
    let update = sql(update).bind(to.as_str()).bind(to == UnitState::Received).bind(now);
    let update = update.bind(to == UnitState::PassedOn).bind(now);
    let rows = units.iter().map(|sscc| json!([sscc])).collect();
    Ok(update.bind(dialect::rows(rows)).bind(id).bind(from.as_str()).execute(tx)? == units.len())
}

/// Takes back what has come of lines; of a closed shipment it is given up. False when one has not so much that is not with an order.
pub(super) fn put_back(tx: &mut Tx, id: InboundShipmentId, back: &[Back], closed: bool) -> Result<bool> {
    let columns = [("line", Col::Int), ("less", Col::Int), ("beyond", Col::Int), ("lost", Col::Int)];
    let list = dialect::list(tx, &columns);
    let update = format!(
        "UPDATE inbound_lines SET received = received - less, surplus = surplus - beyond, short = short + lost \
         FROM {list} WHERE inbound_shipment_id = ? AND line_no = list.line AND received - less >= docked AND surplus >= beyond"
    );
    let lost = |one: &Back| if closed { one.quantity - one.surplus } else { 0 };
    let row = |one: &Back| json!([one.line_no, one.quantity, one.surplus, lost(one)]);
    let rows: Vec<Value> = back.iter().map(row).collect();
    Ok(sql(update).bind(dialect::rows(rows)).bind(id).execute(tx)? == back.len())
}

/// Expects handling units again that had come, or gives them up. False when one of them is not there.
pub(super) fn expect_units(tx: &mut Tx, id: InboundShipmentId, units: &[String], closed: bool) -> Result<bool> {
    if units.is_empty() {
        return Ok(true);
    }
    let list = dialect::list(tx, &[("unit", Col::Text)]);
    let update = format!(
        "UPDATE inbound_units SET state = ?, received_at = NULL \
         FROM {list} WHERE inbound_shipment_id = ? AND sscc = list.unit AND state = 'received'"
    );
    let to = if closed { UnitState::Missing } else { UnitState::Expected };
    let rows = units.iter().map(|sscc| json!([sscc])).collect();
    Ok(sql(update).bind(to.as_str()).bind(dialect::rows(rows)).bind(id).execute(tx)? == units.len())
}

/// Gives up what is left of a shipment's lines, and its handling units that have not come.
pub(super) fn give_up(tx: &mut Tx, id: InboundShipmentId) -> Result<()> {
    sql("UPDATE inbound_lines SET short = expected + surplus - received WHERE inbound_shipment_id = ?")
        .bind(id)
        .execute(tx)?;
    sql("UPDATE inbound_units SET state = 'missing' WHERE inbound_shipment_id = ? AND state = 'expected'")
        .bind(id)
        .execute(tx)
        .map(|_| ())
}

/// Adds to what of lines is matched before it comes, and to what of the received stays at the dock; each line once. The
/// constraints refuse what is not there.
pub(in crate::fulfilment) fn match_lines(tx: &mut Tx, more: &[(InboundShipmentId, i32, i64, i64)]) -> Result<()> {
    if more.is_empty() {
        return Ok(());
    }
    let columns = [("shipment", Col::Uid), ("line", Col::Int), ("more_matched", Col::Int), ("more_docked", Col::Int)];
    let list = dialect::list(tx, &columns);
    let update = format!(
        "UPDATE inbound_lines SET matched = matched + more_matched, docked = docked + more_docked \
         FROM {list} WHERE inbound_shipment_id = list.shipment AND line_no = list.line"
    );
    let row =
        |(id, line, matched, docked): &(InboundShipmentId, i32, i64, i64)| json!([id.hex(), line, matched, docked]);
    let moved = sql(update).bind(dialect::rows(more.iter().map(row).collect())).execute(tx);
    // Somebody has received or matched the same meanwhile: look again.
    let moved =
        moved.map_err(|error| if error.is_check_violation() { Error::overtaken("an inbound line") } else { error })?;
    if moved == more.len() { Ok(()) } else { Err(Error::internal("an inbound line has gone")) }
}

/// Lines of open shipments to a location of which something is still to come that no order waits for, by when it comes.
pub(super) fn supplies(tx: &mut Tx, location: LocationId, limit: i64) -> Result<Vec<Supply>> {
    let query = "SELECT s.id, l.line_no, l.variant_id, l.sku, l.sscc, s.expected_at, coalesce(l.lot, l.best_before), l.best_before, \
           l.expected + l.surplus - l.short - l.received - l.matched, NOT EXISTS (SELECT 1 FROM inbound_lines AS other \
             WHERE other.inbound_shipment_id = s.id AND other.sscc = l.sscc AND other.received + other.matched > 0) \
         FROM inbound_shipments AS s JOIN inbound_lines AS l ON l.inbound_shipment_id = s.id \
         WHERE s.location_id = ? AND s.state IN ('announced', 'arrived', 'receiving') \
         AND l.expected + l.surplus - l.short - l.received - l.matched > 0 ORDER BY s.expected_at, s.id, l.line_no LIMIT ?";
    type Day = Nullable<Text>;
    type Types = (UidSql, BigInt, UidSql, Text, Nullable<Text>, InstantSql, Nullable<Text>, Day, BigInt, Bool);
    type Word = Option<String>;
    type Row = (InboundShipmentId, i64, VariantId, String, Word, Instant, Word, Word, i64, bool);
    let rows = sql(query).bind(location).bind(limit).load::<Types, Row>(tx)?;
    let supply = |(inbound, line_no, variant, sku, sscc, at, lot, best_before, quantity, untouched): Row| {
        let (line_no, best_before) = (number(line_no)?, day(best_before)?);
        Ok(Supply { inbound, line_no, variant, sku, sscc, at, lot, best_before, ends_at: None, quantity, untouched })
    };
    rows.into_iter().map(supply).collect()
}

/// The numbers of the lots that lines of shipments are of, those that are of any.
pub(in crate::fulfilment) fn lots_of(
    tx: &mut Tx,
    shipments: impl IntoIterator<Item = InboundShipmentId>,
) -> Result<HashMap<(InboundShipmentId, i32), String>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT inbound_shipment_id, line_no, coalesce(lot, best_before) FROM inbound_lines \
         WHERE inbound_shipment_id IN (SELECT wanted FROM {list}) AND coalesce(lot, best_before) IS NOT NULL"
    );
    type Row = (InboundShipmentId, i64, String);
    let rows = sql(query).bind(ids(shipments)).load::<(UidSql, BigInt, Text), Row>(tx)?;
    rows.into_iter().map(|(id, line, lot)| Ok(((id, number(line)?), lot))).collect()
}

/// What is still expected of variants: of announced shipments, and of what is ordered and not announced yet.
pub(super) fn expected(tx: &mut Tx, variants: &[VariantId]) -> Result<Vec<Expected>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT variant_id, location_id, at, CAST(sum(pieces) AS bigint) FROM ( \
           SELECT l.variant_id, s.location_id, s.expected_at AS at, \
             l.expected + l.surplus - l.short - l.received AS pieces \
           FROM {list} CROSS JOIN inbound_lines AS l CROSS JOIN inbound_shipments AS s \
           WHERE l.variant_id = list.wanted AND s.id = l.inbound_shipment_id AND s.state IN ('announced', 'arrived', 'receiving') \
           UNION ALL SELECT l.variant_id, o.location_id, coalesce(l.expected_at, o.expected_at), \
             l.ordered - CASE WHEN l.announced > l.received THEN l.announced ELSE l.received END \
           FROM {list} CROSS JOIN purchase_order_lines AS l CROSS JOIN purchase_orders AS o \
           WHERE l.variant_id = list.wanted AND o.id = l.purchase_order_id AND o.state IN ('ordered', 'partially_received') \
           AND coalesce(l.expected_at, o.expected_at) IS NOT NULL) AS found \
         WHERE pieces > 0 GROUP BY variant_id, location_id, at ORDER BY at, variant_id, location_id"
    );
    let wanted = || ids(variants.iter().copied());
    type Types = (UidSql, UidSql, InstantSql, BigInt);
    let rows = sql(query).bind(wanted()).bind(wanted()).load::<Types, (VariantId, LocationId, Instant, i64)>(tx)?;
    let expected = |(variant, location, at, quantity)| Expected { variant, location, at, quantity };
    Ok(rows.into_iter().map(expected).collect())
}

/// How many pieces have come to a location, of shipments whose first goods came from one instant to another.
pub(in crate::fulfilment) fn received_between(
    tx: &mut Tx,
    location: LocationId,
    (from, until): (Instant, Instant),
) -> Result<i64> {
    let query = sql("SELECT CAST(coalesce(sum(l.received), 0) AS bigint) FROM inbound_shipments AS s \
         JOIN inbound_lines AS l ON l.inbound_shipment_id = s.id \
         WHERE s.location_id = ? AND s.received_at >= ? AND s.received_at < ?");
    Ok(query.bind(location).bind(from).bind(until).first::<BigInt, i64>(tx)?.unwrap_or_default())
}

/// What is expected at a location or stands at its dock, and these others, by when it comes.
pub(in crate::fulfilment) fn at_dock(
    tx: &mut Tx,
    location: LocationId,
    others: &[InboundShipmentId],
    limit: i64,
) -> Result<Vec<InboundShipment>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT {INBOUND} FROM inbound_shipments WHERE location_id = ? AND (state IN ('announced', 'arrived', 'receiving') \
         OR id IN (SELECT wanted FROM {list})) ORDER BY expected_at, id LIMIT ?"
    );
    load(tx, sql(query).bind(location).bind(ids(others.iter().copied())).bind(limit))
}

/// The open shipments to a location in which some of these variants are still to come, those expected first in front: 10 at most.
pub(in crate::fulfilment) fn open_with(
    tx: &mut Tx,
    location: LocationId,
    variants: &[VariantId],
) -> Result<Vec<InboundShipmentId>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT id FROM inbound_shipments AS s WHERE s.location_id = ? AND s.state IN ('announced', 'arrived', 'receiving') \
         AND EXISTS (SELECT 1 FROM inbound_lines AS l WHERE l.inbound_shipment_id = s.id \
           AND l.variant_id IN (SELECT wanted FROM {list}) AND l.received < l.expected + l.surplus - l.short) \
         ORDER BY s.expected_at, s.id LIMIT 10"
    );
    sql(query).bind(location).bind(ids(variants.iter().copied())).load::<UidSql, InboundShipmentId>(tx)
}

//! The only file that touches `packages` and `package_serials`, and how many pieces of `fulfilment_lines` are boxed.

use std::collections::HashMap;

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use serde_json::json;

use super::model::{Package, PackageCommand, PackageDetails, PackageState};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Sql, Tx, UidSql, dialect, insert_many, sql},
    error::{Code, Error, Result},
    kernel::{
        Instant,
        ids::{FulfilmentOrderId, LocationId, OrderId, PackageId, ShipmentId, VariantId},
    },
};

#[derive(Queryable)]
struct Row {
    id: PackageId,
    fulfilment_order_id: FulfilmentOrderId,
    order_id: OrderId,
    location_id: LocationId,
    state: PackageState,
    sscc: Option<String>,
    shipment_id: Option<ShipmentId>,
    doc: Doc<PackageDetails>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
}

#[rustfmt::skip]
type Columns = (UidSql, UidSql, UidSql, UidSql, Text, Nullable<Text>, Nullable<UidSql>, DocSql, BigInt, InstantSql, InstantSql);
const SELECTED: &str =
    "id, fulfilment_order_id, order_id, location_id, state, sscc, shipment_id, doc, version, created_at, updated_at";

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<Package>> {
    let package = |row: Row| Package {
        id: row.id,
        fulfilment_order_id: row.fulfilment_order_id,
        order_id: row.order_id,
        location_id: row.location_id,
        state: row.state,
        sscc: row.sscc,
        shipment_id: row.shipment_id,
        lines: row.doc.0.lines.into_iter().map(Into::into).collect(),
        weight_grams: row.doc.0.weight_grams,
        dimensions: row.doc.0.dimensions,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(package).collect())
}

pub(super) fn insert(tx: &mut Tx, package: &Package) -> Result<()> {
    let details = PackageDetails {
        lines: package.lines.iter().cloned().map(Into::into).collect(),
        weight_grams: package.weight_grams,
        dimensions: package.dimensions,
    };
    sql("INSERT INTO packages (id, fulfilment_order_id, order_id, location_id, state, sscc, shipment_id, pieces, doc, version, \
         created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(package.id)
    .bind(package.fulfilment_order_id)
    .bind(package.order_id)
    .bind(package.location_id)
    .bind(package.state.as_str())
    .bind(package.sscc.clone())
    .bind(package.shipment_id)
    .bind(package.pieces())
    .bind(Doc(serde_json::to_value(details)?))
    .bind(package.version)
    .bind(package.created_at)
    .bind(package.updated_at)
    .execute(tx)?;
    Ok(())
}

/// A package.
pub(in crate::fulfilment) fn get(tx: &mut Tx, id: PackageId) -> Result<Option<Package>> {
    Ok(load(tx, sql(format!("SELECT {SELECTED} FROM packages WHERE id = ?")).bind(id))?.pop())
}

/// Packages by their ids. One statement.
pub(in crate::fulfilment) fn known_of(tx: &mut Tx, ids: &[PackageId]) -> Result<HashMap<PackageId, Package>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let wanted = dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect());
    let found =
        load(tx, sql(format!("SELECT {SELECTED} FROM packages WHERE id IN (SELECT wanted FROM {list})")).bind(wanted))?;
    Ok(found.into_iter().map(|package| (package.id, package)).collect())
}

/// The package that an SSCC is on.
pub(super) fn by_sscc(tx: &mut Tx, sscc: &str) -> Result<Option<Package>> {
    Ok(load(tx, sql(format!("SELECT {SELECTED} FROM packages WHERE sscc = ?")).bind(sscc))?.pop())
}

/// The packages of a fulfilment order, the oldest first; in one state where that is named.
pub(super) fn of_work(tx: &mut Tx, id: FulfilmentOrderId, state: Option<PackageState>) -> Result<Vec<Package>> {
    let mut text = format!("SELECT {SELECTED} FROM packages WHERE fulfilment_order_id = ?");
    let mut binds = vec![Bind::from(id)];
    if let Some(state) = state {
        text.push_str(" AND state = ?");
        binds.push(state.as_str().into());
    }
    text.push_str(" ORDER BY id");
    load(tx, sql(text).bind_all(binds))
}

/// Packages by the shipments with which they have left.
pub(in crate::fulfilment) fn of_shipments(tx: &mut Tx, ids: &[ShipmentId]) -> Result<Vec<Package>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT {SELECTED} FROM packages WHERE shipment_id IN (SELECT wanted FROM {list}) ORDER BY id");
    load(tx, sql(query).bind(dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect())))
}

/// Brings packages from the state in which a command finds them to the next, all with one statement. False when one was in another.
pub(super) fn advance(
    tx: &mut Tx,
    now: Instant,
    ids: &[PackageId],
    (from, command): (PackageState, PackageCommand),
    shipment: Option<ShipmentId>,
) -> Result<bool> {
    let to = from.apply(command)?;
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let update = format!(
        "UPDATE packages SET state = ?, shipment_id = ?, version = version + 1, updated_at = ? \
         WHERE state = ? AND id IN (SELECT wanted FROM {list})"
    );
    let wanted = dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect());
    let update = sql(update).bind(to.as_str()).bind(shipment).bind(now).bind(from.as_str()).bind(wanted);
    Ok(update.execute(tx)? == ids.len())
}

/// How many pieces of each line of a fulfilment order are in packages that wait to leave.
pub(super) fn boxed(tx: &mut Tx, id: FulfilmentOrderId) -> Result<HashMap<i32, i64>> {
    let query = sql("SELECT line_no, boxed FROM fulfilment_lines WHERE fulfilment_order_id = ?").bind(id);
    let rows = query.load::<(BigInt, BigInt), (i64, i64)>(tx)?;
    rows.into_iter().map(|(line_no, boxed)| Ok((i32::try_from(line_no).map_err(Error::internal)?, boxed))).collect()
}

/// How many pieces of lines of fulfilment orders are in packages that wait to leave; a line of which none is, is absent.
pub(in crate::fulfilment) fn all_boxed(
    tx: &mut Tx,
    ids: &[FulfilmentOrderId],
) -> Result<HashMap<(FulfilmentOrderId, i32), i64>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT fulfilment_order_id, line_no, boxed FROM fulfilment_lines \
         WHERE boxed > 0 AND fulfilment_order_id IN (SELECT wanted FROM {list})"
    );
    let wanted = dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect());
    type Row = (FulfilmentOrderId, i64, i64);
    let rows = sql(query).bind(wanted).load::<(UidSql, BigInt, BigInt), Row>(tx)?;
    rows.into_iter().map(|(id, line, boxed)| Ok(((id, i32::try_from(line).map_err(Error::internal)?), boxed))).collect()
}

/// Puts pieces into packages, or (negative) takes them out. The constraint refuses what is not packed.
pub(super) fn put(tx: &mut Tx, id: FulfilmentOrderId, pieces: impl Iterator<Item = (i32, i64)>) -> Result<()> {
    let list = dialect::list(tx, &[("line", Col::Int), ("pieces", Col::Int)]);
    let update = format!(
        "UPDATE fulfilment_lines SET boxed = boxed + list.pieces FROM {list} \
         WHERE fulfilment_order_id = ? AND line_no = list.line"
    );
    let rows: Vec<_> = pieces.map(|(line_no, pieces)| json!([line_no, pieces])).collect();
    let count = rows.len();
    let moved = sql(update).bind(dialect::rows(rows)).bind(id).execute(tx).map_err(|error| {
        match error.is_check_violation() {
            true => Error::problem(Code::QuantityExceeded, "a line has no such quantity left to put into a package"),
            false => error,
        }
    })?;
    if moved == count { Ok(()) } else { Err(Error::internal("a fulfilment line has gone")) }
}

/// Where a serial number is, or has been.
#[derive(Debug, Clone)]
pub(super) struct SerialRow {
    pub variant: VariantId,
    pub serial: String,
    pub line_no: i32,
    pub held: bool,
}

/// Notes the serial numbers in a package. A UNIQUE violation when one is in another.
pub(super) fn add_serials(tx: &mut Tx, package: &Package) -> Result<()> {
    const COLUMNS: &[(&str, Col)] = &[
        ("package_id", Col::Uid),
        ("variant_id", Col::Uid),
        ("serial", Col::Text),
        ("line_no", Col::Int),
        ("held", Col::Bool),
    ];
    let rows = package.lines.iter().flat_map(|line| {
        let row = |serial: &String| {
            vec![package.id.into(), line.variant_id.into(), serial.as_str().into(), line.line_no.into(), true.into()]
        };
        line.serials.iter().map(row).collect::<Vec<_>>()
    });
    insert_many(tx, "package_serials", COLUMNS, rows.collect()).map(|_| ())
}

/// Lets the serial numbers of a package go: they may be in another.
pub(super) fn drop_serials(tx: &mut Tx, package: PackageId) -> Result<()> {
    sql("UPDATE package_serials SET held = ? WHERE package_id = ? AND held").bind(false).bind(package).execute(tx)?;
    Ok(())
}

/// Holds the serial numbers of packages again that have not left after all. Refused where one is in another package meanwhile.
pub(super) fn hold_serials(tx: &mut Tx, packages: &[PackageId]) -> Result<()> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let update =
        format!("UPDATE package_serials SET held = ? WHERE NOT held AND package_id IN (SELECT wanted FROM {list})");
    let wanted = dialect::rows(packages.iter().map(|id| json!([id.hex()])).collect());
    sql(update).bind(true).bind(wanted).execute(tx)?;
    Ok(())
}

/// Lets one serial number go. False when it is in no package.
pub(super) fn drop_serial(tx: &mut Tx, package: PackageId, variant: VariantId, serial: &str) -> Result<bool> {
    let update =
        sql("UPDATE package_serials SET held = ? WHERE package_id = ? AND variant_id = ? AND serial = ? AND held");
    Ok(update.bind(false).bind(package).bind(variant).bind(serial).execute(tx)? == 1)
}

/// Where a serial number is and has been, the newest first; of one variant where that is named.
pub(super) fn serials(tx: &mut Tx, serial: &str, variant: Option<VariantId>) -> Result<Vec<(SerialRow, Package)>> {
    let mut text =
        String::from("SELECT package_id, variant_id, serial, line_no, held FROM package_serials WHERE serial = ?");
    let mut binds = vec![Bind::from(serial)];
    if let Some(variant) = variant {
        text.push_str(" AND variant_id = ?");
        binds.push(variant.into());
    }
    text.push_str(" ORDER BY package_id DESC, variant_id DESC LIMIT 200");
    type Found = (PackageId, VariantId, String, i64, bool);
    let rows = sql(text).bind_all(binds).load::<(UidSql, UidSql, Text, BigInt, Bool), Found>(tx)?;
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT {SELECTED} FROM packages WHERE id IN (SELECT wanted FROM {list})");
    let wanted = dialect::rows(rows.iter().map(|row| json!([row.0.hex()])).collect());
    let packages: HashMap<PackageId, Package> =
        load(tx, sql(query).bind(wanted))?.into_iter().map(|package| (package.id, package)).collect();
    let found = rows.into_iter().filter_map(|(package, variant, serial, line_no, held)| {
        let line_no = i32::try_from(line_no).unwrap_or_default();
        Some((SerialRow { variant, serial, line_no, held }, packages.get(&package)?.clone()))
    });
    Ok(found.collect())
}

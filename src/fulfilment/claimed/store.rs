//! The only file that touches `parcel_claims`.

use std::collections::BTreeMap;

use diesel::sql_types::BigInt;
use serde_json::json;

use super::model::{ClaimedPieces, Counts};
use crate::{
    db::{Col, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::ids::ShipmentId,
};

type Columns = (UidSql, BigInt, BigInt, BigInt, BigInt);

/// What is counted of parcels, by line.
pub(super) fn of(tx: &mut Tx, shipments: &[ShipmentId]) -> Result<BTreeMap<(ShipmentId, i32), Counts>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT shipment_id, line_no, quantity, claimed, honoured FROM parcel_claims WHERE shipment_id IN (SELECT wanted FROM {list})"
    );
    let wanted = dialect::rows(shipments.iter().map(|id| json!([id.hex()])).collect());
    let rows = sql(query).bind(wanted).load::<Columns, (ShipmentId, i64, i64, i64, i64)>(tx)?;
    let counts = |(id, line_no, quantity, claimed, honoured): (ShipmentId, i64, i64, i64, i64)| {
        Some(((id, i32::try_from(line_no).ok()?), Counts { quantity, claimed, honoured }))
    };
    Ok(rows.into_iter().filter_map(counts).collect())
}

/// Begins to count the pieces of a parcel's line, where that is not done.
pub(super) fn begin(tx: &mut Tx, shipment: ShipmentId, line_no: i32, quantity: i64) -> Result<()> {
    let insert = "INSERT INTO parcel_claims (shipment_id, line_no, quantity, claimed, honoured) VALUES (?, ?, ?, 0, 0) \
                  ON CONFLICT DO NOTHING";
    sql(insert).bind(shipment).bind(i64::from(line_no)).bind(quantity).execute(tx).map(|_| ())
}

/// Moves the counters of a line of a parcel. False when so many are not free, or not claimed.
pub(super) fn step(tx: &mut Tx, of: &ClaimedPieces, (claimed, honoured): (i64, i64)) -> Result<bool> {
    let update = "UPDATE parcel_claims SET claimed = claimed + ?, honoured = honoured + ? WHERE shipment_id = ? AND line_no = ? \
                  AND claimed + ? >= 0 AND claimed + ? + honoured + ? <= quantity";
    let update = sql(update).bind(claimed).bind(honoured).bind(of.shipment).bind(i64::from(of.line_no));
    Ok(update.bind(claimed).bind(claimed).bind(honoured).execute(tx)? == 1)
}

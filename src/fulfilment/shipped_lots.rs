//! The lots that pieces of a shipment are said to be of.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::model::{FulfilmentOrder, Shipment};
use crate::{
    error::{Code, Error, Result},
    kernel::{Quantity, text::Text},
    stock::lots::Packed,
};

/// Pieces of a line that leave of a lot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShippedLot {
    /// The order's line.
    #[schema(minimum = 1)]
    pub line_no: i32,
    /// The lot's number.
    #[schema(value_type = String, min_length = 1, max_length = 50)]
    pub lot: Text<50>,
    /// How many pieces of it.
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000)]
    pub quantity: Quantity,
}

/// The lots that pieces of a shipment were said to be of, as stock takes them.
///
/// # Errors
/// `line_unknown` for a line of which nothing leaves; `quantity_exceeded` where less of a line leaves; with the pointer.
pub(super) fn said(fulfilment: &FulfilmentOrder, shipment: &Shipment, lots: &[ShippedLot]) -> Result<Vec<Packed>> {
    let mut left: BTreeMap<i32, i64> = shipment.lines.iter().map(|line| (line.line_no, line.quantity)).collect();
    let mut packed = Vec::with_capacity(lots.len());
    for (place, one) in lots.iter().enumerate() {
        let at = format!("/lots/{place}");
        let line = fulfilment.lines.iter().find(|line| line.line_no == one.line_no);
        let (Some(line), Some(left)) = (line, left.get_mut(&one.line_no)) else {
            let detail = format!("nothing of a line {} leaves", one.line_no);
            return Err(Error::problem(Code::LineUnknown, detail).at(format!("{at}/line_no")));
        };
        *left -= one.quantity.get();
        if *left < 0 || one.quantity.is_zero() {
            let detail = "more are said to be of lots than leave, or none";
            return Err(Error::problem(Code::QuantityExceeded, detail).at(format!("{at}/quantity")));
        }
        let (key, numbers) = ((line.variant_id, fulfilment.location_id), vec![one.lot.to_string()]);
        packed.push(Packed { key, numbers, quantity: one.quantity.get(), said_at: Some(at), left: false });
    }
    Ok(packed)
}

//! Lots and serial numbers of what is in packages, and what is asked of goods that are tracked. Pure.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::model::{Package, PackedLine};
use crate::{
    catalog::TrackingPolicy,
    error::{Code, Error, Result},
    fulfilment::{FulfilmentOrder, ShippedLot, model::ShippedLine},
    kernel::{Quantity, ids::VariantId, text::Text},
    stock::Packed,
};

/// Pieces of a lot in a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PackedLot {
    /// The lot's number.
    pub lot: String,
    /// How many pieces of it, where that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
}

/// As it is kept: the number alone. How many there are of it stands beside it ([`KeptLine`]).
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Number(String),
    Pieces { lot: String, quantity: Option<i64> },
}

impl<'de> Deserialize<'de> for PackedLot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Kept::deserialize(deserializer)? {
            Kept::Number(lot) => Self { lot, quantity: None },
            Kept::Pieces { lot, quantity } => Self { lot, quantity },
        })
    }
}

/// A line of a package as it is kept. An older version reads no more of lots than their numbers, so how many pieces are of each stands in a
/// member of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptLine {
    line_no: i32,
    variant_id: VariantId,
    sku: String,
    quantity: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    serials: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", serialize_with = "numbers")]
    lots: Vec<PackedLot>,
    /// How many pieces are of each of the lots, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lot_pieces: Vec<Option<i64>>,
}

fn numbers<S: Serializer>(lots: &[PackedLot], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(lots.iter().map(|lot| &lot.lot))
}

impl From<PackedLine> for KeptLine {
    fn from(line: PackedLine) -> Self {
        let PackedLine { line_no, variant_id, sku, quantity, serials, lots } = line;
        let said = lots.iter().any(|lot| lot.quantity.is_some());
        let lot_pieces = if said { lots.iter().map(|lot| lot.quantity).collect() } else { Vec::new() };
        Self { line_no, variant_id, sku, quantity, serials, lots, lot_pieces }
    }
}

impl From<KeptLine> for PackedLine {
    fn from(line: KeptLine) -> Self {
        let KeptLine { line_no, variant_id, sku, quantity, serials, mut lots, lot_pieces } = line;
        for (lot, pieces) in lots.iter_mut().zip(lot_pieces) {
            lot.quantity = lot.quantity.or(pieces);
        }
        Self { line_no, variant_id, sku, quantity, serials, lots }
    }
}

/// A lot of which pieces are, as it is sent: its number and how many, or its number alone.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum LotOfPieces {
    /// Its number: how many are of it is not said, or it is all of the line where it is the only one.
    Number(Text<50>),
    /// Its number, and how many pieces are of it.
    Pieces(LotPieces),
}

/// So many pieces of a lot.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LotPieces {
    /// The lot's number.
    #[schema(value_type = String, min_length = 1, max_length = 50)]
    pub lot: Text<50>,
    /// How many.
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000)]
    pub quantity: Quantity,
}

/// The lots that pieces of a line are said to be of. `pointer` is where the line stands.
///
/// # Errors
/// `invalid_value` where more pieces are of lots than there are, or none of one.
pub fn lots_of(lots: &[LotOfPieces], pieces: i64, pointer: &str) -> Result<Vec<PackedLot>> {
    let only = lots.len() == 1;
    let one = |lot: &LotOfPieces| match lot {
        LotOfPieces::Number(lot) => PackedLot { lot: lot.to_string(), quantity: only.then_some(pieces) },
        LotOfPieces::Pieces(LotPieces { lot, quantity }) => {
            PackedLot { lot: lot.to_string(), quantity: Some(quantity.get()) }
        }
    };
    let lots: Vec<PackedLot> = lots.iter().map(one).collect();
    if lots.iter().any(|lot| lot.quantity == Some(0)) {
        return Err(Error::invalid(format!("{pointer}/lots"), "expected at least 1 piece of each lot"));
    }
    match in_lots(&lots) <= pieces {
        true => Ok(lots),
        false => Err(Error::invalid(format!("{pointer}/lots"), "more pieces are of lots than there are")),
    }
}

/// How many pieces are said to be of lots.
fn in_lots(lots: &[PackedLot]) -> i64 {
    lots.iter().filter_map(|lot| lot.quantity).fold(0, i64::saturating_add)
}

impl PackedLine {
    /// Checks that what is asked of its goods is told.
    ///
    /// # Errors
    /// `lot_required`, `serials_required`; with the pointer within the line.
    pub(super) fn tells(&self, policy: TrackingPolicy) -> Result<()> {
        if policy.asks_for_lots() && in_lots(&self.lots) < self.quantity {
            let detail =
                format!("of which lots are the {} pieces of `{}`, and how many of each?", self.quantity, self.sku);
            return Err(Error::problem(Code::LotRequired, detail).at("/lots").with("line_no", self.line_no));
        }
        let serials = i64::try_from(self.serials.len()).unwrap_or(i64::MAX);
        if policy.asks_for_serials() && serials != self.quantity {
            let detail = format!("{} pieces of `{}` need as many serial numbers", self.quantity, self.sku);
            return Err(Error::problem(Code::SerialsRequired, detail).at("/serials").with("line_no", self.line_no));
        }
        Ok(())
    }

    /// Of which lots its pieces leave, as stock takes them: those of which the number is said, and then the rest of any that is named.
    pub(super) fn packed(&self, location: crate::kernel::ids::LocationId) -> Vec<Packed> {
        let key = (self.variant_id, location);
        let of = |numbers: Vec<String>, quantity: i64| Packed { key, numbers, quantity, said_at: None, left: false };
        let (told, named): (Vec<&PackedLot>, Vec<&PackedLot>) =
            self.lots.iter().partition(|lot| lot.quantity.is_some());
        let mut packed: Vec<Packed> =
            told.iter().map(|lot| of(vec![lot.lot.clone()], lot.quantity.unwrap_or_default())).collect();
        let rest = self.quantity - in_lots(&self.lots);
        if rest > 0 && !named.is_empty() {
            packed.push(of(named.iter().map(|lot| lot.lot.clone()).collect(), rest));
        }
        packed
    }
}

/// Checks of goods that leave whether what is asked of them is told: by their packages, by what was said of lots, or by the lots
/// that they were `picked` of, line by line.
///
/// # Errors
/// `lot_required`, `serials_required`; `invalid_value` where what is said of lots is not what its packages say; with the line.
pub(in crate::fulfilment) fn told(
    (work, leaving): (&FulfilmentOrder, &[ShippedLine]),
    tracked: &HashMap<VariantId, TrackingPolicy>,
    (packages, said, picked): (&[Package], &[ShippedLot], &[(i32, Packed)]),
) -> Result<()> {
    for line in leaving {
        let of_line = said.iter().filter(|one| one.line_no == line.line_no).map(|one| one.quantity.get());
        let in_packages = packages.iter().flat_map(|package| &package.lines).filter(|one| one.line_no == line.line_no);
        let in_packages: i64 = in_packages.map(|one| in_lots(&one.lots)).sum();
        let of_line: i64 = of_line.sum();
        if of_line > 0 && of_line + in_packages > line.quantity {
            let detail = format!("the packages of line {} say already of which lots they are", line.line_no);
            return Err(Error::invalid("/lots", detail).with("line_no", line.line_no));
        }
        let variant = work.lines.iter().find(|known| known.line_no == line.line_no).map(|known| known.variant_id);
        let Some(policy) = variant.and_then(|variant| tracked.get(&variant)) else { continue };
        let boxed = || packages.iter().flat_map(|package| &package.lines).filter(|one| one.line_no == line.line_no);
        let of_lots: i64 = boxed().map(|one| in_lots(&one.lots)).sum::<i64>()
            + said.iter().filter(|one| one.line_no == line.line_no).map(|one| one.quantity.get()).sum::<i64>()
            + picked.iter().filter(|(of, _)| *of == line.line_no).map(|(_, one)| one.quantity).sum::<i64>();
        if policy.asks_for_lots() && of_lots < line.quantity {
            let detail = format!("{of_lots} of {} pieces of `{}` are known to be of lots", line.quantity, line.sku);
            return Err(Error::problem(Code::LotRequired, detail).at("/lots").with("line_no", line.line_no));
        }
        let serials: usize = boxed().map(|one| one.serials.len()).sum();
        if policy.asks_for_serials() && i64::try_from(serials).unwrap_or(i64::MAX) < line.quantity {
            let detail = format!("{serials} of {} pieces of `{}` have a serial number", line.quantity, line.sku);
            return Err(Error::problem(Code::SerialsRequired, detail).at("/packages").with("line_no", line.line_no));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Id;

    fn line(lots: serde_json::Value, serials: &[&str]) -> PackedLine {
        serde_json::from_value(serde_json::json!({"line_no": 1, "variant_id": Id::<crate::kernel::ids::Variant>::new(),
            "sku": "A", "quantity": 3, "serials": serials, "lots": lots}))
        .unwrap()
    }

    #[test]
    fn what_an_older_version_has_kept_is_read() {
        let old = line(serde_json::json!(["X", {"lot": "Y", "quantity": 2}]), &[]);
        let packed: Vec<_> = old.packed(Id::new()).into_iter().map(|one| (one.numbers, one.quantity)).collect();
        assert_eq!(packed, [(vec!["Y".to_owned()], 2), (vec!["X".to_owned()], 1)]);
    }

    #[test]
    fn how_many_are_of_a_lot_is_kept_beside_the_numbers_that_an_older_version_reads() {
        let new = line(serde_json::json!([{"lot": "Y", "quantity": 2}, "X"]), &["1"]);
        let kept = serde_json::to_value(KeptLine::from(new.clone())).unwrap();
        assert_eq!(kept["lots"], serde_json::json!(["Y", "X"]));
        assert_eq!(kept["lot_pieces"], serde_json::json!([2, null]));
        assert_eq!(PackedLine::from(serde_json::from_value::<KeptLine>(kept).unwrap()), new);
        let bare = line(serde_json::json!(["X"]), &[]);
        let kept = serde_json::to_value(KeptLine::from(bare)).unwrap();
        assert_eq!((kept["lots"].clone(), kept.get("lot_pieces")), (serde_json::json!(["X"]), None));
    }

    #[test]
    fn what_is_tracked_tells_of_each_piece() {
        let code = |line: &PackedLine, policy| line.tells(policy).map_err(|error| error.code());
        let half = line(serde_json::json!([{"lot": "Y", "quantity": 2}]), &["1", "2"]);
        assert_eq!(code(&half, TrackingPolicy::None), Ok(()));
        assert_eq!(code(&half, TrackingPolicy::Lot), Err(Code::LotRequired));
        assert_eq!(code(&half, TrackingPolicy::Serial), Err(Code::SerialsRequired));
        let whole = line(serde_json::json!([{"lot": "Y", "quantity": 3}]), &["1", "2", "3"]);
        assert_eq!(code(&whole, TrackingPolicy::LotAndSerial), Ok(()));
    }
}

//! Packages that have left elsewhere: another system has packed and sent them, and tells what was in them.

use super::{
    model::{Package, PackageState, PackedLine},
    store,
    traced::PackedLot,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    fulfilment::FulfilmentOrder,
    kernel::{
        Instant,
        ids::{PackageId, ShipmentId},
    },
    stock::Packed,
};

/// A package that has left elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftPackage {
    /// Its id here.
    pub id: PackageId,
    /// Its SSCC.
    pub sscc: Option<String>,
    /// What it weighs, all in all.
    pub weight_grams: Option<i64>,
    /// What is in it.
    pub lines: Vec<LeftLine>,
    /// Where it stands in the request, as a JSON pointer.
    pub pointer: String,
}

/// Pieces in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftLine {
    /// The order's line.
    pub line_no: i32,
    /// How many.
    pub quantity: i64,
    /// Their serial numbers.
    pub serials: Vec<String>,
    /// Their lots.
    pub lots: Vec<PackedLot>,
}

/// Notes packages that have left with a shipment of a locked order, beside what waited here; and of which lots their pieces are.
///
/// # Errors
/// `duplicate` where an SSCC is known, or a serial number is in another package; with the package's pointer.
pub(in crate::fulfilment) fn left(
    tx: &mut Tx,
    now: Instant,
    (work, shipment): (&FulfilmentOrder, ShipmentId),
    packages: &[LeftPackage],
) -> Result<(Vec<Package>, Vec<Packed>)> {
    let (mut noted, mut packed) = (Vec::with_capacity(packages.len()), Vec::new());
    for one in packages {
        let line = |line: &LeftLine| {
            let known = work.lines.iter().find(|known| known.line_no == line.line_no);
            let known = known.ok_or_else(|| Error::internal("a package with a line that its order has not"))?;
            Ok(PackedLine {
                line_no: line.line_no,
                variant_id: known.variant_id,
                sku: known.sku.clone(),
                quantity: line.quantity,
                serials: line.serials.clone(),
                lots: line.lots.clone(),
            })
        };
        let package = Package {
            id: one.id,
            fulfilment_order_id: work.id,
            order_id: work.order_id,
            location_id: work.location_id,
            state: PackageState::Shipped,
            sscc: one.sscc.clone(),
            shipment_id: Some(shipment),
            lines: one.lines.iter().map(line).collect::<Result<_>>()?,
            weight_grams: one.weight_grams,
            dimensions: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let known = || Error::problem(Code::Duplicate, "there is a package with this SSCC already");
        on_duplicate(store::insert(tx, &package), || known().at(format!("{}/sscc", one.pointer)))?;
        let taken = || Error::problem(Code::Duplicate, "a serial number of it is in another package");
        on_duplicate(store::add_serials(tx, &package), || taken().at(&*one.pointer))?;
        let of_lots = package.lines.iter().flat_map(|line| line.packed(work.location_id));
        packed.extend(of_lots.map(|one| Packed { left: true, ..one }));
        noted.push(package);
    }
    Ok((noted, packed))
}

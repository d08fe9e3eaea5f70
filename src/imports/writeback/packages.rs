//! Packages of a reported shipment: what was in them, of which lots, with which serial numbers.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::model::{self, Reported};
use crate::{
    error::{Code, Error, Result},
    fulfilment::{
        FulfilmentOrder, Pieces,
        parcels::{LeftLine, LeftPackage, LotOfPieces, PackedLot, lots_of},
    },
    kernel::{
        Id, Quantity, gs1,
        text::{Sku, Text},
    },
    orders::OrderDocument,
};

/// The most packages of a report, and lines of one.
const MOST: (usize, usize) = (100, 1000);

/// Pieces in a package of a report: a line named by `line_no` or by `sku`.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportedPackageLine {
    /// The order's line.
    pub line_no: Option<i32>,
    /// Or the SKU; where several lines have it, they are filled in their order.
    #[schema(value_type = Option<String>)]
    pub sku: Option<Sku>,
    /// How many.
    pub quantity: Quantity,
    /// The lots that they are of: each with how many, or its number alone.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub lots: Vec<LotOfPieces>,
    /// Their serial numbers.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub serials: Vec<Text<100>>,
}

/// A package that has left, as another system tells it.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportedPackage {
    /// Its SSCC.
    #[schema(value_type = Option<String>, pattern = "^[0-9]{18}$")]
    pub sscc: Option<Text<18>>,
    /// What it weighs, all in all.
    #[schema(minimum = 1, maximum = 100_000_000)]
    pub weight_grams: Option<i64>,
    /// What is in it.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Vec<ReportedPackageLine>,
}

/// A package of a report, checked.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    sscc: Option<String>,
    weight_grams: Option<i64>,
    lines: Vec<(Reported, Vec<PackedLot>, Vec<String>)>,
}

/// The packages of a report.
///
/// # Errors
/// `invalid_value`, `quantity_invalid`; with the pointer.
pub(super) fn reported(packages: &[ReportedPackage]) -> Result<Vec<Parcel>> {
    if packages.len() > MOST.0 {
        return Err(Error::invalid("/packages", "expected at most 100 packages"));
    }
    if packages.iter().map(|one| one.lines.len()).sum::<usize>() > MOST.1 {
        return Err(Error::invalid("/packages", "expected at most 1000 lines in all"));
    }
    packages.iter().enumerate().map(|(place, one)| parcel(one, &format!("/packages/{place}"))).collect()
}

fn parcel(one: &ReportedPackage, at: &str) -> Result<Parcel> {
    if one.sscc.as_deref().is_some_and(|sscc| !gs1::is_sscc(sscc)) {
        let detail = "expected an SSCC of 18 digits with the right check digit";
        return Err(Error::invalid(format!("{at}/sscc"), detail));
    }
    if one.weight_grams.is_some_and(|grams| !(1..=100_000_000).contains(&grams)) {
        return Err(Error::invalid(format!("{at}/weight_grams"), "expected a number from 1 to 100000000"));
    }
    if !(1..=MOST.1).contains(&one.lines.len()) {
        return Err(Error::invalid(format!("{at}/lines"), "expected 1 to 1000 lines"));
    }
    let line = |(place, line): (usize, &ReportedPackageLine)| {
        let (at, quantity) = (format!("{at}/lines/{place}"), line.quantity.get());
        if quantity == 0 {
            let error = Error::problem(Code::QuantityInvalid, "expected at least one piece");
            return Err(error.at(format!("{at}/quantity")));
        }
        let serials: Vec<String> = line.serials.iter().map(ToString::to_string).collect();
        let once: std::collections::BTreeSet<&String> = serials.iter().collect();
        if once.len() != serials.len() || i64::try_from(serials.len()).unwrap_or(i64::MAX) > quantity {
            let detail = "a serial number is there twice, or there are more than pieces";
            return Err(Error::invalid(format!("{at}/serials"), detail));
        }
        if line.lots.len() > 100 {
            return Err(Error::invalid(format!("{at}/lots"), "expected at most 100 lots"));
        }
        let lots = lots_of(&line.lots, quantity, &at)?;
        let sku = line.sku.as_ref().map(ToString::to_string);
        Ok((Reported { line_no: line.line_no, sku, quantity }, lots, serials))
    };
    let lines = one.lines.iter().enumerate().map(line).collect::<Result<_>>()?;
    Ok(Parcel { sscc: one.sscc.as_ref().map(ToString::to_string), weight_grams: one.weight_grams, lines })
}

/// Packages as they are compared when the document comes again.
pub(super) fn said(packages: &[ReportedPackage]) -> Option<serde_json::Value> {
    let lot = |lot: &LotOfPieces| match lot {
        LotOfPieces::Number(lot) => serde_json::json!([lot, null]),
        LotOfPieces::Pieces(pieces) => serde_json::json!([pieces.lot, pieces.quantity]),
    };
    let line = |line: &ReportedPackageLine| {
        let lots: Vec<_> = line.lots.iter().map(lot).collect();
        serde_json::json!([line.line_no, line.sku, line.quantity, lots, line.serials])
    };
    let package = |one: &ReportedPackage| {
        let lines: Vec<_> = one.lines.iter().map(line).collect();
        serde_json::json!([one.sscc, lines])
    };
    (!packages.is_empty()).then(|| packages.iter().map(package).collect())
}

/// What packages hold, as lines of a report.
pub(super) fn contents(packages: &[Parcel]) -> Vec<Reported> {
    packages.iter().flat_map(|one| &one.lines).map(|(line, ..)| line.clone()).collect()
}

/// The packages with the lines of the order that are meant; each line of a SKU that the order has on several is filled in turn.
///
/// # Errors
/// `line_unknown`, `missing_field`; with the pointer.
pub(super) fn meant(order: &OrderDocument, packages: &[Parcel]) -> Result<Vec<LeftPackage>> {
    let places: Vec<(usize, usize)> =
        packages.iter().enumerate().flat_map(|(place, one)| (0..one.lines.len()).map(move |at| (place, at))).collect();
    let pointer = |place: usize| match places.get(place) {
        Some((package, line)) => format!("/packages/{package}/lines/{line}"),
        None => "/packages".to_owned(),
    };
    let each = model::lines_each(order, &contents(packages), |line| line.quantities.open(), pointer)?;
    let mut each = each.into_iter();
    let package = |(place, one): (usize, &Parcel)| {
        let lines = one.lines.iter().flat_map(|(_, lots, serials)| {
            let own = each.next().unwrap_or_default();
            divided(&own, lots, serials)
        });
        let (lines, pointer) = (lines.collect(), format!("/packages/{place}"));
        LeftPackage { id: Id::new(), sscc: one.sscc.clone(), weight_grams: one.weight_grams, lines, pointer }
    };
    Ok(packages.iter().enumerate().map(package).collect())
}

/// Pieces of a reported line on the order's lines, with the lots and serial numbers in their order.
fn divided(meant: &[(i32, i64)], lots: &[PackedLot], serials: &[String]) -> Vec<LeftLine> {
    let (mut lots, mut serials) = (lots.to_vec(), serials.iter().cloned());
    let one = |(line_no, quantity): &(i32, i64)| {
        let (mut room, mut own) = (*quantity, Vec::new());
        for lot in &mut lots {
            match &mut lot.quantity {
                None => own.push(lot.clone()),
                Some(left) => {
                    let part = room.min(*left);
                    (room, *left) = (room - part, *left - part);
                    if part > 0 {
                        own.push(PackedLot { lot: lot.lot.clone(), quantity: Some(part) });
                    }
                }
            }
        }
        let count = usize::try_from(*quantity).unwrap_or_default();
        LeftLine { line_no: *line_no, quantity: *quantity, serials: serials.by_ref().take(count).collect(), lots: own }
    };
    meant.iter().map(one).collect()
}

/// Gives each package to the part of the shipment that all its pieces are of. Those of most lines are placed first, then those of most
/// pieces: what fits anywhere takes no room from what fits only there.
///
/// # Errors
/// `quantity_exceeded` where a package holds more than leaves with any part; with the pointer.
pub(super) fn of_parts(
    packages: Vec<LeftPackage>,
    parts: &[(&FulfilmentOrder, Option<&[Pieces]>)],
) -> Result<Vec<Vec<LeftPackage>>> {
    let room = |(work, pieces): &(&FulfilmentOrder, Option<&[Pieces]>)| -> BTreeMap<i32, i64> {
        match pieces {
            Some(pieces) => pieces.iter().map(|piece| (piece.line_no, piece.quantity.get())).collect(),
            None => work.lines.iter().map(|line| (line.line_no, line.counts.open())).collect(),
        }
    };
    placed(packages, parts.iter().map(room).collect())
}

/// Places packages where there is room for all their pieces, line by line; of each place in their turn.
fn placed(packages: Vec<LeftPackage>, mut rooms: Vec<BTreeMap<i32, i64>>) -> Result<Vec<Vec<LeftPackage>>> {
    let mut of: Vec<Vec<(usize, LeftPackage)>> = rooms.iter().map(|_| Vec::new()).collect();
    let inside = |package: &LeftPackage| {
        let mut inside: BTreeMap<i32, i64> = BTreeMap::new();
        for line in &package.lines {
            *inside.entry(line.line_no).or_default() += line.quantity;
        }
        inside
    };
    let mut largest: Vec<_> = packages.into_iter().map(|package| (inside(&package), package)).enumerate().collect();
    largest.sort_by_key(|(_, (inside, _))| std::cmp::Reverse((inside.len(), inside.values().sum::<i64>())));
    for (turn, (inside, package)) in largest {
        let fits = |room: &BTreeMap<i32, i64>| inside.iter().all(|(line, count)| room.get(line) >= Some(count));
        let place = rooms.iter().position(fits).ok_or_else(|| {
            let detail = "it holds more than leaves, or pieces of several locations: report each location's by itself";
            Error::problem(Code::QuantityExceeded, detail).at(&*package.pointer)
        })?;
        if let (Some(room), Some(own)) = (rooms.get_mut(place), of.get_mut(place)) {
            for (line, count) in inside {
                room.entry(line).and_modify(|left| *left -= count);
            }
            own.push((turn, package));
        }
    }
    let in_turn = |mut own: Vec<(usize, LeftPackage)>| {
        own.sort_by_key(|(turn, _)| *turn);
        own.into_iter().map(|(_, package)| package).collect()
    };
    Ok(of.into_iter().map(in_turn).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(lines: &[(i32, i64)]) -> LeftPackage {
        let line = |(line_no, quantity): &(i32, i64)| LeftLine {
            line_no: *line_no,
            quantity: *quantity,
            serials: Vec::new(),
            lots: Vec::new(),
        };
        let lines = lines.iter().map(line).collect();
        LeftPackage { id: Id::new(), sscc: None, weight_grams: None, lines, pointer: "/packages/0".to_owned() }
    }

    #[test]
    fn what_fits_anywhere_takes_no_room_from_what_fits_only_there() {
        let room = |lines: &[(i32, i64)]| lines.iter().copied().collect::<BTreeMap<i32, i64>>();
        let rooms = || vec![room(&[(1, 2), (2, 1)]), room(&[(1, 3)])];
        let small = || package(&[(1, 1)]);
        let packages = vec![small(), small(), package(&[(1, 1), (2, 1)]), package(&[(1, 2)])];
        let ids: Vec<_> = packages.iter().map(|one| one.id).collect();
        let placed_at = placed(packages, rooms()).unwrap();
        let places: Vec<Vec<_>> = placed_at.iter().map(|own| own.iter().map(|one| one.id).collect()).collect();
        assert_eq!(places, [vec![ids[0], ids[2]], vec![ids[1], ids[3]]]);
        assert!(placed(vec![package(&[(1, 4)])], rooms()).is_err());
    }
}

//! Packages and what they are called. Pure.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::traced::{KeptLine, PackedLot};
use crate::{
    catalog::TrackingPolicy,
    error::{Code, Error, Result},
    fulfilment::{FulfilmentOrder, Pieces, model::at_piece},
    kernel::{
        Instant, Quantity,
        ids::{FulfilmentOrderId, LocationId, OrderId, PackageId, ShipmentId, VariantId},
    },
    stock::Packed,
};

crate::words! {
    /// Where a package stands.
    pub enum PackageState {
        /// It waits to leave.
        Packed = "packed",
        /// It has left.
        Shipped = "shipped",
        /// It was opened again: its pieces lie beside it.
        Unpacked = "unpacked",
    }
}

crate::words! {
    /// What can be done with a package.
    pub enum PackageCommand {
        /// Hand it to the carrier.
        Ship = "ship",
        /// Open it again.
        Unpack = "unpack",
        /// It has not left after all.
        TakeBack = "take_back",
    }
}

/// Every transition of packages there is: from, command, to. What is not here is refused.
pub const PACKAGE_TRANSITIONS: &[(PackageState, PackageCommand, PackageState)] = &[
    (PackageState::Packed, PackageCommand::Ship, PackageState::Shipped),
    (PackageState::Packed, PackageCommand::Unpack, PackageState::Unpacked),
    // With its shipment.
    (PackageState::Shipped, PackageCommand::TakeBack, PackageState::Packed),
];

/// The transition table of packages as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> packed\n");
    for (from, command, to) in PACKAGE_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

impl PackageState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict` when the state does not take it.
    pub fn apply(self, command: PackageCommand) -> Result<Self> {
        let found = PACKAGE_TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        let refused = || Error::conflict(format!("the package is {self}: `{command}` is not possible"));
        found.map(|(_, _, to)| *to).ok_or_else(refused)
    }
}

/// How large something is, in millimetres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dimensions {
    /// The longest side.
    #[schema(minimum = 1, maximum = 100_000)]
    pub length_mm: i64,
    /// The one across it.
    #[schema(minimum = 1, maximum = 100_000)]
    pub width_mm: i64,
    /// Upright.
    #[schema(minimum = 1, maximum = 100_000)]
    pub height_mm: i64,
}

impl Dimensions {
    /// Checks what the schema says of them.
    ///
    /// # Errors
    /// `invalid_value`.
    pub(in crate::fulfilment) fn check(&self, pointer: &str) -> Result<()> {
        let sides = [("length_mm", self.length_mm), ("width_mm", self.width_mm), ("height_mm", self.height_mm)];
        match sides.iter().find(|(_, side)| !(1..=100_000).contains(side)) {
            None => Ok(()),
            Some((name, _)) => Err(Error::invalid(format!("{pointer}/{name}"), "expected a number from 1 to 100000")),
        }
    }
}

/// Pieces in a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PackedLine {
    /// The order's line.
    pub line_no: i32,
    /// What.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// How many.
    pub quantity: i64,
    /// Their serial numbers, as far as they were captured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serials: Vec<String>,
    /// The lots they are of, as far as they were captured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<PackedLot>,
}

/// A handling unit that leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Package {
    /// Its id.
    pub id: PackageId,
    /// Whose pieces are in it.
    pub fulfilment_order_id: FulfilmentOrderId,
    /// The order.
    pub order_id: OrderId,
    /// Where it was packed.
    pub location_id: LocationId,
    /// Where it stands. More states may come.
    pub state: PackageState,
    /// Its SSCC, where the location has a GS1 company prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sscc: Option<String>,
    /// With which shipment it has left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<ShipmentId>,
    /// What is in it.
    pub lines: Vec<PackedLine>,
    /// What it weighs, all in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_grams: Option<i64>,
    /// How large it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<Dimensions>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl Package {
    /// How many pieces are in it.
    #[must_use]
    pub fn pieces(&self) -> i64 {
        self.lines.iter().map(|line| line.quantity).sum()
    }
}

/// What is kept of a package beside its columns.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct PackageDetails {
    pub lines: Vec<KeptLine>,
    #[serde(default)]
    pub weight_grams: Option<i64>,
    #[serde(default)]
    pub dimensions: Option<Dimensions>,
}

/// A package as its shipment names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PackedUnit {
    /// It.
    pub id: PackageId,
    /// Its SSCC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sscc: Option<String>,
    /// What it weighs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_grams: Option<i64>,
}

impl From<&Package> for PackedUnit {
    fn from(package: &Package) -> Self {
        Self { id: package.id, sscc: package.sscc.clone(), weight_grams: package.weight_grams }
    }
}

/// The pieces of packages per line.
pub(super) fn pieces_of<'a>(packages: impl IntoIterator<Item = &'a Package>) -> BTreeMap<i32, i64> {
    let mut sums = BTreeMap::new();
    for line in packages.into_iter().flat_map(|package| &package.lines) {
        *sums.entry(line.line_no).or_insert(0) += line.quantity;
    }
    sums
}

/// What leaves of a fulfilment order: which pieces, and which packages with them.
pub(in crate::fulfilment) struct Leaving {
    /// All that is left when absent.
    pub pieces: Option<Vec<Pieces>>,
    pub packages: Vec<Package>,
}

impl Leaving {
    /// What leaves by what was asked for, of the packages that wait to leave: those that are named; all where everything leaves; and
    /// where lines are named, those that these can not do without.
    ///
    /// # Errors
    /// `not_found` for a package that does not wait; `invalid_value` for packages and lines at once; `quantity_exceeded` for pieces
    /// in a package of which others stay.
    pub fn of(
        waiting: Vec<Package>,
        work: &FulfilmentOrder,
        (packages, pieces): (Option<&[PackageId]>, Option<&[Pieces]>),
    ) -> Result<Self> {
        match (packages, pieces) {
            (Some(_), Some(_)) => Err(Error::invalid("/packages", "name packages or lines, not both")),
            (None, None) => Ok(Self { pieces: None, packages: waiting }),
            (Some(named), None) => Self::named(waiting, named),
            (None, Some(pieces)) => {
                let packages = needed(waiting, work, pieces)?;
                Ok(Self { pieces: Some(pieces.to_vec()), packages })
            }
        }
    }

    /// Of which lots what is in the packages is, as far as that was captured. Goods that are tracked by lot leave of these and of no other.
    pub fn packed(&self, tracked: &HashMap<VariantId, TrackingPolicy>) -> Vec<Packed> {
        let lines =
            self.packages.iter().flat_map(|package| package.lines.iter().map(|line| (package.location_id, line)));
        let strictly = |mut one: Packed| {
            let asks = tracked.get(&one.key.0).is_some_and(|policy| policy.asks_for_lots());
            one.said_at = asks.then(|| "/packages".to_owned());
            one
        };
        lines.flat_map(|(location, line)| line.packed(location)).map(strictly).collect()
    }

    fn named(waiting: Vec<Package>, named: &[PackageId]) -> Result<Self> {
        let missing = named.iter().position(|id| !waiting.iter().any(|package| package.id == *id));
        if let Some(place) = missing {
            return Err(Error::not_found("package that waits to leave").at(format!("/packages/{place}")));
        }
        let packages: Vec<Package> = waiting.into_iter().filter(|package| named.contains(&package.id)).collect();
        let piece = |(line_no, pieces): (i32, i64)| {
            let quantity = Quantity::try_from(pieces).map_err(Error::internal)?;
            Ok(Pieces { line_no, quantity })
        };
        let pieces: Result<Vec<Pieces>> = pieces_of(&packages).into_iter().map(piece).collect();
        Ok(Self { pieces: Some(pieces?), packages })
    }
}

/// The packages without which pieces can not leave: what lies beside them goes first.
fn needed(waiting: Vec<Package>, work: &FulfilmentOrder, pieces: &[Pieces]) -> Result<Vec<Package>> {
    if waiting.is_empty() {
        // Whether there are so many pieces at all is asked after this.
        return Ok(waiting);
    }
    let boxed = pieces_of(&waiting);
    let mut room: BTreeMap<i32, i64> = BTreeMap::new();
    for piece in pieces {
        *room.entry(piece.line_no).or_insert(0) += piece.quantity.get();
    }
    let mut short: BTreeMap<i32, i64> = BTreeMap::new();
    for (line_no, wanted) in &room {
        let open = work.lines.iter().find(|line| line.line_no == *line_no).map_or(0, |line| line.counts.open());
        let beside = open - boxed.get(line_no).copied().unwrap_or_default();
        short.insert(*line_no, (wanted - beside.max(0)).max(0));
    }
    let mut leaving = Vec::new();
    for package in waiting {
        let inside = pieces_of([&package]);
        let fits = inside.iter().all(|(line_no, count)| room.get(line_no).is_some_and(|room| room >= count));
        let helps = inside.keys().any(|line_no| short.get(line_no).is_some_and(|short| *short > 0));
        if fits && helps {
            for (line_no, count) in inside {
                for left in [&mut room, &mut short] {
                    left.entry(line_no).and_modify(|left| *left = (*left - count).max(0));
                }
            }
            leaving.push(package);
        }
    }
    match short.iter().find(|(_, short)| **short > 0) {
        None => Ok(leaving),
        Some((line_no, short)) => {
            let wanted: i64 =
                pieces.iter().filter(|piece| piece.line_no == *line_no).map(|piece| piece.quantity.get()).sum();
            let detail =
                "pieces of the line are in packages of which others stay: name the packages that leave, or unpack them";
            let error =
                Error::problem(Code::QuantityExceeded, detail).with("line_no", *line_no).with("left", wanted - short);
            Err(at_piece(error, Some(pieces)))
        }
    }
}

/// The check digit of a row of digits, as GS1 reckons it for all its keys: from the right, every other digit counts three times.
#[must_use]
pub fn check_digit(digits: &str) -> u32 {
    let weighted = digits
        .chars()
        .rev()
        .enumerate()
        .map(|(place, digit)| digit.to_digit(10).unwrap_or_default() * if place % 2 == 0 { 3 } else { 1 });
    (10 - weighted.sum::<u32>() % 10) % 10
}

/// The digit in front of the company prefix, which widens the room for numbers.
const EXTENSION: u32 = 0;

/// The SSCC of a number of a company: extension digit, company prefix, the number in as many digits as are left of 17, check digit.
///
/// # Errors
/// `state_conflict` when the numbers are used up.
pub fn sscc(prefix: &str, number: i64) -> Result<String> {
    let room = 16_usize.saturating_sub(prefix.len());
    let number = number.to_string();
    if number.len() > room {
        return Err(Error::conflict(format!("all SSCCs of the company prefix {prefix} are used up")));
    }
    let digits = format!("{EXTENSION}{prefix}{number:0>room$}");
    Ok(format!("{digits}{}", check_digit(&digits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sscc_is_as_gs1_writes_it() {
        // The example of the GS1 check digit calculator: 37610425002123456 has the check digit 9.
        assert_eq!(check_digit("37610425002123456"), 9);
        assert_eq!(check_digit("400638133393"), 1);
        let made = sscc("4006381", 1001).unwrap();
        assert_eq!((made.len(), &made[..17]), (18, "04006381000001001"));
        assert_eq!(check_digit(&made[..17]).to_string(), made[17..]);
        assert!(sscc("400638133393", 9999).is_ok());
        assert!(sscc("400638133393", 10_000).is_err());
    }
}

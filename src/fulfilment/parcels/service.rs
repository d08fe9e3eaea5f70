//! Commands on packages. Each locks the order first, like everything that is done for it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    labels::{self, LabelDocument},
    model::{Dimensions, Leaving, Package, PackageCommand, PackageState, PackedLine, pieces_of},
    store,
    traced::PackedLot,
};
use crate::{
    catalog::{self, TrackingPolicy},
    db::{Tx, number_in},
    error::{Code, Error, Result, on_duplicate},
    fulfilment::{Command, Fresh, FulfilmentOrder, NewShipment, Pieces, carriers, orders_by_ids, service},
    kernel::{
        Actor, Instant, Quantity,
        ids::{ChannelId, FulfilmentOrderId, PackageId, ShipmentId, VariantId},
    },
    orders::{self, OrderDocument},
    stock::{Locations, lots},
};

/// Pieces that are put into a package.
#[derive(Debug, Clone)]
pub(in crate::fulfilment) struct NewLine {
    pub line_no: i32,
    pub quantity: i64,
    pub serials: Vec<String>,
    pub lots: Vec<PackedLot>,
}

/// A package about to be made.
#[derive(Debug, Clone)]
pub(super) struct NewPackage {
    pub id: PackageId,
    /// All that is left and in no package when absent.
    pub lines: Option<Vec<NewLine>>,
    pub weight_grams: Option<i64>,
    pub dimensions: Option<Dimensions>,
}

// What is asked for as it stands in the tables.
pub(in crate::fulfilment) use super::store::get as known;

/// A package that the actor may see.
///
/// # Errors
/// `not_found`.
pub(in crate::fulfilment) fn get(tx: &mut Tx, actor: &Actor, id: PackageId) -> Result<Package> {
    let found = store::get(tx, id)?;
    seen(tx, actor, found)
}

fn seen(tx: &mut Tx, actor: &Actor, found: Option<Package>) -> Result<Package> {
    let missing = || Error::not_found("package");
    let package = found.ok_or_else(missing)?;
    // Its fulfilment order knows the channel.
    service::get(tx, actor, package.fulfilment_order_id).map_err(|_| missing())?;
    Ok(package)
}

/// The package that an SSCC is on, where the actor may see it.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn by_sscc(tx: &mut Tx, actor: &Actor, sscc: &str) -> Result<Option<Package>> {
    let Some(found) = store::by_sscc(tx, sscc)? else { return Ok(None) };
    let channels = channels(tx, std::iter::once(&found))?;
    let theirs = channels.get(&found.fulfilment_order_id).is_some_and(|channel| actor.sees_channel(*channel));
    Ok(Some(found).filter(|found| theirs && actor.sees_location(found.location_id)))
}

/// The packages of a fulfilment order that the actor may see, the oldest first.
///
/// # Errors
/// `not_found`.
pub(super) fn of_work(tx: &mut Tx, actor: &Actor, id: FulfilmentOrderId) -> Result<Vec<Package>> {
    service::get(tx, actor, id)?;
    store::of_work(tx, id, None)
}

/// Puts pieces into a new package; what is not packed is packed with it.
///
/// # Errors
/// `not_found`, `state_conflict`, `line_unknown`, `quantity_exceeded`, `duplicate` for a serial number that is in another package;
/// `lot_required` and `serials_required` where goods are tracked and it is not told; `invalid_value` for a lot that there is not;
/// `state_conflict` for one that may not leave with the order.
pub(super) fn create(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    (id, new): (FulfilmentOrderId, &NewPackage),
    locations: &Locations,
) -> Result<Package> {
    let (order, work) = service::start(tx, actor, id)?;
    work.state.takes(Command::Ship)?;
    let boxed = store::boxed(tx, id)?;
    let lines = match &new.lines {
        Some(lines) => lines.clone(),
        None => everything(&work, |line_no| boxed.get(&line_no).copied().unwrap_or_default()),
    };
    if lines.is_empty() {
        return Err(Error::problem(Code::QuantityExceeded, "nothing is left to put into a package"));
    }
    let mut wanted: BTreeMap<i32, i64> = BTreeMap::new();
    let mut packed = Vec::with_capacity(lines.len());
    for (place, line) in lines.into_iter().enumerate() {
        let sum = wanted.entry(line.line_no).or_insert(0);
        *sum += line.quantity;
        let boxed = boxed.get(&line.line_no).copied().unwrap_or_default();
        packed.push(packed_line(&work, line, (*sum, boxed)).map_err(|error| at_line(error, place))?);
    }
    let tracked = catalog::tracking_of(tx, packed.iter().map(|line| line.variant_id))?;
    for (place, line) in packed.iter().enumerate() {
        let policy = tracked.get(&line.variant_id).copied().unwrap_or(TrackingPolicy::None);
        line.tells(policy).map_err(|error| at_line(error, place))?;
    }
    may_leave(tx, service::keep_of(&order, &work, now).1, now, (&packed, &tracked))?;
    let mut loose = Vec::new();
    for (line_no, pieces) in &wanted {
        let counts =
            work.lines.iter().find(|line| line.line_no == *line_no).map(|line| line.counts).unwrap_or_default();
        let beside = counts.packed - counts.shipped - boxed.get(line_no).copied().unwrap_or_default();
        if *pieces > beside {
            let quantity = Quantity::try_from(pieces - beside).map_err(Error::internal)?;
            loose.push(Pieces { line_no: *line_no, quantity });
        }
    }
    if !loose.is_empty() {
        service::pack(tx, now, actor, fresh, id, Some(&loose))?;
    }
    let package =
        Package { weight_grams: new.weight_grams, dimensions: new.dimensions, ..empty((new.id, now), &work, packed) };
    let package = put_into(tx, package, locations)?;
    let taken = || Error::problem(Code::Duplicate, "a serial number is in another package").at("/lines");
    on_duplicate(store::add_serials(tx, &package), taken)?;
    Ok(package)
}

/// That lots which are named may leave with the order: whoever is told at the door has to open the package again. Where goods are tracked by
/// lot, these are lots; else a number that is none is nothing but a note. One statement where any is named.
fn may_leave(
    tx: &mut Tx,
    keeps_until: Instant,
    now: Instant,
    (lines, tracked): (&[PackedLine], &HashMap<VariantId, TrackingPolicy>),
) -> Result<()> {
    let named = lines.iter().flat_map(|line| line.lots.iter().map(|one| (line.variant_id, one.lot.as_str())));
    let known = lots::known(tx, &named.collect())?;
    for (place, line) in lines.iter().enumerate() {
        let asks = tracked.get(&line.variant_id).is_some_and(|policy| policy.asks_for_lots());
        for (at, one) in line.lots.iter().enumerate() {
            let pointer = format!("/lines/{place}/lots/{at}");
            match known.iter().find(|lot| (lot.variant_id, &lot.number) == (line.variant_id, &one.lot)) {
                None if asks => {
                    return Err(Error::invalid(pointer, format!("there is no lot `{}` of `{}`", one.lot, line.sku)));
                }
                Some(lot) => {
                    if let Some(why) = lot.refused(now, Some(keeps_until)) {
                        return Err(Error::conflict(format!("{why}: take another")).at(pointer));
                    }
                }
                None => {}
            }
        }
    }
    Ok(())
}

/// A package of a fulfilment order with these pieces.
fn empty((id, now): (PackageId, Instant), work: &FulfilmentOrder, lines: Vec<PackedLine>) -> Package {
    Package {
        id,
        fulfilment_order_id: work.id,
        order_id: work.order_id,
        location_id: work.location_id,
        state: PackageState::Packed,
        sscc: None,
        shipment_id: None,
        lines,
        weight_grams: None,
        dimensions: None,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

/// Puts packed pieces into a new package, which gets a number of its location unless it has one.
fn put_into(tx: &mut Tx, mut package: Package, locations: &Locations) -> Result<Package> {
    store::put(tx, package.fulfilment_order_id, pieces_of([&package]).into_iter())?;
    if package.weight_grams.is_none() {
        package.weight_grams = weight(tx, &package)?;
    }
    // The number's row comes last: it is everybody's.
    if let (None, Some(prefix)) = (&package.sscc, locations.get(package.location_id)?.site.gs1_prefix.as_deref()) {
        package.sscc = Some(super::sscc(prefix, number_in(tx, &format!("sscc:{prefix}"))?)?);
    }
    store::insert(tx, &package)?;
    Ok(package)
}

/// Makes a package of pieces that have crossed a dock and are packed for a fulfilment order, whose order is locked. A handling unit that
/// has passed unopened keeps its SSCC; what was taken out of one gets a number of the location.
///
/// # Errors
/// `duplicate` where the unit's SSCC is on a package already; `line_unknown`, `quantity_exceeded`.
pub(in crate::fulfilment) fn of_dock(
    tx: &mut Tx,
    (id, now): (PackageId, Instant),
    work: &FulfilmentOrder,
    (sscc, lines): (Option<String>, Vec<NewLine>),
    locations: &Locations,
) -> Result<Package> {
    let boxed = store::boxed(tx, work.id)?;
    let (mut sums, mut packed) = (BTreeMap::new(), Vec::with_capacity(lines.len()));
    for line in lines {
        let sum = sums.entry(line.line_no).or_insert(0);
        *sum += line.quantity;
        let boxed = boxed.get(&line.line_no).copied().unwrap_or_default();
        packed.push(packed_line(work, line, (*sum, boxed))?);
    }
    let package = Package { sscc, ..empty((id, now), work, packed) };
    let detail = "a package has this SSCC already: pack what is in the unit by hand";
    on_duplicate(put_into(tx, package, locations), || Error::problem(Code::Duplicate, detail).at("/scan"))
}

/// All that is left to ship and in no package.
fn everything(work: &FulfilmentOrder, boxed: impl Fn(i32) -> i64) -> Vec<NewLine> {
    let line = |line: &crate::fulfilment::FulfilmentLine| {
        let quantity = line.counts.open() - boxed(line.line_no);
        let (serials, lots) = (Vec::new(), Vec::new());
        (quantity > 0).then_some(NewLine { line_no: line.line_no, quantity, serials, lots })
    };
    work.lines.iter().filter_map(line).collect()
}

fn at_line(error: Error, place: usize) -> Error {
    match &error {
        Error::Problem(problem) => {
            let pointer = format!("/lines/{place}{}", problem.pointer.clone().unwrap_or_default());
            error.at(pointer)
        }
        _ => error,
    }
}

/// A line of a package, which has no more pieces than are left beside other packages.
fn packed_line(work: &FulfilmentOrder, line: NewLine, (sum, boxed): (i64, i64)) -> Result<PackedLine> {
    let known = work.lines.iter().find(|known| known.line_no == line.line_no);
    let unknown = || {
        let detail = format!("the fulfilment order has no line {}", line.line_no);
        Error::problem(Code::LineUnknown, detail).at("/line_no")
    };
    let known = known.ok_or_else(unknown)?;
    let left = known.counts.open() - boxed;
    if sum > left {
        let detail = format!("only {left} are left beside what is in packages");
        return Err(Error::problem(Code::QuantityExceeded, detail).at("/quantity").with("left", left));
    }
    let once: HashSet<&String> = line.serials.iter().collect();
    if once.len() != line.serials.len() {
        return Err(Error::invalid("/serials", "a serial number is there twice"));
    }
    if i64::try_from(once.len()).unwrap_or(i64::MAX) > line.quantity {
        return Err(Error::invalid("/serials", "more serial numbers than pieces"));
    }
    Ok(PackedLine {
        line_no: line.line_no,
        variant_id: known.variant_id,
        sku: known.sku.clone(),
        quantity: line.quantity,
        serials: line.serials,
        lots: line.lots,
    })
}

/// What is in a package weighs this, by the catalogue; nothing where that does not say it of all.
fn weight(tx: &mut Tx, package: &Package) -> Result<Option<i64>> {
    let ids: Vec<_> = package.lines.iter().map(|line| line.variant_id).collect();
    let variants = catalog::by_ids(tx, &ids)?;
    let of = |line: &PackedLine| {
        let grams = variants.iter().find(|variant| variant.id == line.variant_id)?.weight_grams;
        (grams > 0).then(|| grams.saturating_mul(line.quantity))
    };
    Ok(package.lines.iter().map(of).sum())
}

/// Opens a package again: its pieces stay packed and lie beside it.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn unpack(tx: &mut Tx, now: Instant, actor: &Actor, id: PackageId) -> Result<Package> {
    let found = get(tx, actor, id)?;
    service::start(tx, actor, found.fulfilment_order_id)?;
    // Read under the lock: what is decided on it stays true.
    let mut package = get(tx, actor, id)?;
    package.state = package.state.apply(PackageCommand::Unpack)?;
    if carriers::stands(tx, id)? {
        return Err(Error::conflict("the package has a carrier's label: void that first"));
    }
    if !store::advance(tx, now, &[id], (PackageState::Packed, PackageCommand::Unpack), None)? {
        return Err(Error::internal("a package has changed while its order was locked"));
    }
    store::put(
        tx,
        package.fulfilment_order_id,
        pieces_of([&package]).into_iter().map(|(line, pieces)| (line, -pieces)),
    )?;
    store::drop_serials(tx, id)?;
    (package.version, package.updated_at) = (package.version + 1, now);
    Ok(package)
}

/// What leaves of a fulfilment order whose order is locked.
///
/// # Errors
/// `not_found`, `invalid_value`, `quantity_exceeded`.
pub(in crate::fulfilment) fn open_of(tx: &mut Tx, work: &FulfilmentOrder, new: &NewShipment) -> Result<Leaving> {
    let waiting = store::of_work(tx, work.id, Some(PackageState::Packed))?;
    Leaving::of(waiting, work, (new.packages.as_deref(), new.pieces.as_deref()))
}

/// Notes that packages leave with a shipment of a locked order, before their pieces do.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn leave(
    tx: &mut Tx,
    now: Instant,
    work: &FulfilmentOrder,
    packages: &[Package],
    shipment: ShipmentId,
) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let ids: Vec<PackageId> = packages.iter().map(|package| package.id).collect();
    if !store::advance(tx, now, &ids, (PackageState::Packed, PackageCommand::Ship), Some(shipment))? {
        return Err(Error::internal("a package has changed while its order was locked"));
    }
    store::put(tx, work.id, pieces_of(packages).into_iter().map(|(line_no, pieces)| (line_no, -pieces)))
}

/// Notes that the packages of a shipment of a locked order have not left after all, when their pieces have not.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn come_back(
    tx: &mut Tx,
    now: Instant,
    work: &FulfilmentOrder,
    shipment: ShipmentId,
) -> Result<()> {
    let packages = store::of_shipments(tx, &[shipment])?;
    if packages.is_empty() {
        return Ok(());
    }
    let ids: Vec<PackageId> = packages.iter().map(|package| package.id).collect();
    let elsewhere =
        || Error::conflict("a serial number of it is in another package meanwhile: take it out of that first");
    on_duplicate(store::hold_serials(tx, &ids), elsewhere)?;
    if !store::advance(tx, now, &ids, (PackageState::Shipped, PackageCommand::TakeBack), None)? {
        return Err(Error::internal("a package has changed while its order was locked"));
    }
    store::put(tx, work.id, pieces_of(&packages).into_iter())
}

/// What the label of a package says.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn label_of(tx: &mut Tx, id: PackageId, locations: &Locations) -> Result<LabelDocument> {
    let missing = || Error::internal("a label without its package or order");
    let package = store::get(tx, id)?.ok_or_else(missing)?;
    let all = store::of_work(tx, package.fulfilment_order_id, None)?;
    let order = orders::document(tx, package.order_id)?.ok_or_else(missing)?;
    let key = service::delivery_key(tx, &order, package.fulfilment_order_id)?;
    Ok(labels::label((&order, key.as_deref()), locations.get(package.location_id)?, &all, &package))
}

/// The variant of a SKU.
///
/// # Errors
/// `sku_unknown`.
fn variant(tx: &mut Tx, sku: &str, pointer: &str) -> Result<VariantId> {
    let found = catalog::ids_of(tx, &[sku.to_owned()])?.remove(sku);
    found.ok_or_else(|| Error::problem(Code::SkuUnknown, "there is no such variant").at(pointer))
}

/// Where a serial number is or has been.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct SerialDocument {
    /// It.
    pub serial: String,
    /// The variant's id.
    pub variant_id: VariantId,
    /// The SKU.
    pub sku: String,
    /// Whether it is with this package still: else it was unpacked, or has come back.
    pub held: bool,
    /// The order's line.
    pub line_no: i32,
    /// The package.
    #[schema(inline)]
    pub package: Package,
}

/// The packages that a serial number is or was in, the newest first, each once, at locations and of channels that the actor may see.
///
/// # Errors
/// What the database says.
pub fn with_serial(tx: &mut Tx, actor: &Actor, serial: &str) -> Result<Vec<Package>> {
    let mut found: Vec<Package> = serials(tx, actor, serial, None)?.into_iter().map(|one| one.package).collect();
    found.dedup_by_key(|package| package.id);
    Ok(found)
}

/// Where a serial number is and has been, the newest first, at locations and of channels that the actor may see; of one SKU where that is
/// named.
///
/// # Errors
/// `sku_unknown`.
pub(in crate::fulfilment) fn serials(
    tx: &mut Tx,
    actor: &Actor,
    serial: &str,
    sku: Option<&str>,
) -> Result<Vec<SerialDocument>> {
    let variant = sku.map(|sku| variant(tx, sku, "sku")).transpose()?;
    let mut found = store::serials(tx, serial, variant)?;
    let channels = channels(tx, found.iter().map(|(_, package)| package))?;
    found.retain(|(_, package)| {
        let channel = channels.get(&package.fulfilment_order_id);
        actor.sees_location(package.location_id) && channel.is_some_and(|channel| actor.sees_channel(*channel))
    });
    let variants: Vec<VariantId> = found.iter().map(|(row, _)| row.variant).collect();
    let skus = catalog::skus_of(tx, &variants)?;
    let document = |(row, package): (store::SerialRow, Package)| SerialDocument {
        serial: row.serial,
        variant_id: row.variant,
        sku: skus.get(&row.variant).cloned().unwrap_or_default(),
        held: row.held,
        line_no: row.line_no,
        package,
    };
    Ok(found.into_iter().map(document).collect())
}

/// Why a piece of one of these variants with a serial number can not be taken for an order: it is in a package already.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn serial_taken(
    tx: &mut Tx,
    serial: &str,
    variants: &[VariantId],
) -> Result<Option<&'static str>> {
    let found = store::serials(tx, serial, None)?;
    let held = found.into_iter().find(|(row, _)| row.held && variants.contains(&row.variant));
    Ok(held.map(|(_, package)| match package.state {
        PackageState::Shipped => "the piece with this serial number has left in a package",
        _ => "the piece with this serial number is in a package already",
    }))
}

/// A package that the actor may see with the other packages of its fulfilment order, and its order with the key of the delivery that
/// it is for.
///
/// # Errors
/// `not_found`.
pub(super) fn around(
    tx: &mut Tx,
    actor: &Actor,
    id: PackageId,
) -> Result<(Package, Vec<Package>, (OrderDocument, Option<String>))> {
    let package = get(tx, actor, id)?;
    let all = store::of_work(tx, package.fulfilment_order_id, None)?;
    let missing = || Error::internal("a package without its order");
    let order = orders::document(tx, package.order_id)?.ok_or_else(missing)?;
    let key = service::delivery_key(tx, &order, package.fulfilment_order_id)?;
    Ok((package, all, (order, key)))
}

/// Where what is in packages was sold, by their fulfilment orders.
///
/// # Errors
/// What the database says.
fn channels<'a>(
    tx: &mut Tx,
    packages: impl Iterator<Item = &'a Package>,
) -> Result<HashMap<FulfilmentOrderId, ChannelId>> {
    let ids: Vec<FulfilmentOrderId> = packages.map(|package| package.fulfilment_order_id).collect();
    Ok(orders_by_ids(tx, &ids)?.into_iter().map(|work| (work.id, work.channel_id)).collect())
}

/// Lets a serial number go that has come back.
///
/// # Errors
/// `sku_unknown`; `not_found` when it is in no package; `state_conflict` when that has not left: unpack it.
pub(super) fn release_serial(tx: &mut Tx, actor: &Actor, sku: &str, serial: &str) -> Result<Package> {
    let variant = variant(tx, sku, "/sku")?;
    let missing = || Error::not_found("serial number in a package").at("/serial");
    let found = store::serials(tx, serial, Some(variant))?.into_iter().find(|(row, _)| row.held);
    let package = get(tx, actor, found.ok_or_else(missing)?.1.id).map_err(|_| missing())?;
    if package.state == PackageState::Packed {
        return Err(Error::conflict("its package has not left: unpack that"));
    }
    match store::drop_serial(tx, package.id, variant, serial)? {
        true => Ok(package),
        false => Err(Error::overtaken("the serial number")),
    }
}

//! Counting claimed pieces. The order of the parcels is locked by whoever calls.

use std::collections::BTreeMap;

use super::{
    model::{ClaimedPieces, Counts, Parcels},
    store,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{Shipment, store as parcels_store},
    kernel::ids::{OrderId, ShipmentId},
};

/// The parcels of an order, the oldest first, and what is claimed of them.
///
/// # Errors
/// What the database says.
pub fn parcels(tx: &mut Tx, order: OrderId) -> Result<Parcels> {
    let shipments = parcels_store::shipments(tx, order)?;
    let ids: Vec<ShipmentId> = shipments.iter().map(|one| one.id).collect();
    let known = store::of(tx, &ids)?;
    let counts = |one: &Shipment| -> BTreeMap<i32, Counts> {
        let of = |(line_no, quantity)| {
            let fresh = Counts { quantity, ..Counts::default() };
            (line_no, known.get(&(one.id, line_no)).copied().unwrap_or(fresh))
        };
        let lines = known.iter().filter(|((shipment, _), _)| *shipment == one.id);
        // A line of which all was sent again is no more in it.
        had(one).into_iter().map(of).chain(lines.map(|((_, line_no), counts)| (*line_no, *counts))).collect()
    };
    Ok(Parcels { all: shipments.into_iter().map(|one| (one.clone(), counts(&one))).collect() })
}

fn had(shipment: &Shipment) -> BTreeMap<i32, i64> {
    let mut pieces = BTreeMap::new();
    for line in &shipment.lines {
        *pieces.entry(line.line_no).or_default() += line.quantity;
    }
    pieces
}

/// Counts pieces of an order's parcels as claimed.
///
/// # Errors
/// `already_claimed` when somebody has claimed them before.
pub fn count(tx: &mut Tx, parcels: &Parcels, pieces: &[ClaimedPieces]) -> Result<()> {
    for one in pieces {
        let of = parcels.all.iter().find(|(shipment, _)| shipment.id == one.shipment);
        let had = of.and_then(|(_, counts)| counts.get(&one.line_no)).map_or(0, |counts| counts.quantity);
        store::begin(tx, one.shipment, one.line_no, had)?;
        if !store::step(tx, one, (one.quantity, 0))? {
            return Err(already(one.line_no, "these pieces of the parcel are claimed, or were made good before"));
        }
    }
    Ok(())
}

/// Notes that somebody has got something for claimed pieces: nobody claims them again.
///
/// # Errors
/// `internal` when so many are not claimed.
pub fn honour(tx: &mut Tx, pieces: &[ClaimedPieces]) -> Result<()> {
    pieces.iter().try_for_each(|one| moved(store::step(tx, one, (-one.quantity, one.quantity))?))
}

/// Notes that pieces are not claimed any more, and nobody has got anything for them.
///
/// # Errors
/// `internal` when so many are not claimed.
pub fn release(tx: &mut Tx, pieces: &[ClaimedPieces]) -> Result<()> {
    pieces.iter().try_for_each(|one| moved(store::step(tx, one, (-one.quantity, 0))?))
}

fn moved(done: bool) -> Result<()> {
    if done { Ok(()) } else { Err(Error::internal("pieces that are decided on and were not claimed")) }
}

/// Notes that all of a parcel is made good by what was settled of it with its carrier.
///
/// # Errors
/// `already_claimed` when some of it is claimed; with `rest` alone what was made good before may be left out.
pub(in crate::fulfilment) fn seize(tx: &mut Tx, shipment: &Shipment, rest: bool) -> Result<()> {
    let known = store::of(tx, &[shipment.id])?;
    for (line_no, quantity) in had(shipment) {
        let counts = known.get(&(shipment.id, line_no)).copied();
        let counts = counts.unwrap_or(Counts { quantity, ..Counts::default() });
        if counts.claimed > 0 {
            return Err(already(line_no, "a customer's claim on pieces of the parcel is open: settle that"));
        }
        if counts.honoured > 0 && !rest {
            let detail = "pieces of the parcel were made good by a customer's claim: nothing of them is sent again";
            return Err(already(line_no, detail));
        }
        let one = ClaimedPieces { shipment: shipment.id, line_no, quantity: counts.free() };
        store::begin(tx, shipment.id, line_no, quantity)?;
        if !store::step(tx, &one, (0, one.quantity))? {
            return Err(already(line_no, "these pieces of the parcel were made good before"));
        }
    }
    Ok(())
}

/// Whether all of a parcel was made good: nothing more can be claimed of it.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn is_done(tx: &mut Tx, id: ShipmentId) -> Result<bool> {
    let known = store::of(tx, &[id])?;
    let Some(shipment) = parcels_store::shipment(tx, id)? else { return Ok(false) };
    let done = |line_no: i32| known.get(&(id, line_no)).is_some_and(|counts| counts.honoured >= counts.quantity);
    Ok(!known.is_empty() && shipment.lines.iter().all(|line| done(line.line_no)))
}

/// Holds that nothing of a parcel is claimed, or was made good, before it counts as one that has not left.
///
/// # Errors
/// `already_claimed`.
pub(in crate::fulfilment) fn keep_still(tx: &mut Tx, shipment: ShipmentId) -> Result<()> {
    let known = store::of(tx, &[shipment])?;
    match known.iter().find(|(_, counts)| counts.taken() > 0) {
        Some(((_, line_no), _)) => Err(already(
            *line_no,
            "pieces of the parcel are claimed, or were made good: it can not count as one that has not left",
        )),
        None => Ok(()),
    }
}

fn already(line_no: i32, detail: &str) -> Error {
    Error::problem(Code::AlreadyClaimed, detail).with("line_no", line_no)
}

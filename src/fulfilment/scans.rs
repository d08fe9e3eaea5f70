//! What carriers say about shipments on their way, and what follows.

use super::{
    ids::Fresh,
    model::{Scan, Shipment, ShipmentCommand, ShipmentState},
    service::{announce, arrive, of_shipment, start_shipment},
    store,
    told::parcel,
    tracking::{self, Mark, Tracking},
};
use crate::{
    db::Tx,
    error::{Error, Result},
    kernel::{Actor, Instant, ids::ShipmentId},
    orders,
};

/// How many scans of a shipment are kept: the latest. What they mean is kept of all.
const SCANS: usize = 50;

/// Notes what a carrier said about a shipment on its way. Where it is then follows from all that was said, in the order of its
/// times: scans that come late, twice or in any order lead to the same.
///
/// # Errors
/// `not_found`, `history_before_order`.
pub fn scan(tx: &mut Tx, now: Instant, actor: &Actor, fresh: &Fresh, id: ShipmentId, scan: &Scan) -> Result<Shipment> {
    let (mut order, mut shipment) = start_shipment(tx, actor, id)?;
    // Not the shipment's own time: carriers tell of a parcel as soon as its label is made.
    order.check_time(Some(scan.at), "/at")?;
    shipment.state = shipment.state.apply(ShipmentCommand::Scan)?;
    let mut draw = fresh.draw();
    let heard = scan.mark.map(|what| tracking::note(tx, id, Mark { at: scan.at, what })).transpose()?;
    let arrived_at = heard.as_ref().and_then(|(marks, _)| first_arrival(marks, &shipment));
    // That it has arrived is told by its own event; and earlier than was known, by that of the scan.
    if let (ShipmentState::Delivered, Some(at)) = (shipment.state, arrived_at)
        && shipment.delivered_at.is_some_and(|known| at < known)
        && store::deliver_earlier(tx, id, at)?
    {
        shipment.delivered_at = Some(at);
    }
    let new = !shipment.scans.iter().any(|known| known.repeats(scan));
    if new {
        shipment.scans.push(scan.clone());
        // What comes in another order lies in the same; of one moment, what was told last.
        shipment.scans.sort_by_key(|scan| scan.at);
        let over = shipment.scans.len().saturating_sub(SCANS);
        shipment.scans.drain(..over);
        store::save_details(tx, &shipment)?;
    }
    let place = heard.map(|(marks, _)| tracking::whereabouts(&marks));
    if let Some((Tracking::Delivered, _)) = place
        && shipment.state == ShipmentState::Shipped
    {
        let mut fulfilment = of_shipment(tx, &shipment)?;
        let at = arrived_at.unwrap_or(scan.at);
        arrive(tx, (now, at), actor, &mut draw, (&mut order, &mut fulfilment), &mut shipment)?;
    }
    let place = place.filter(|_| shipment.state == ShipmentState::Shipped);
    let moved = place.is_some_and(|(place, _)| place != shipment.tracking);
    if let Some((place, by)) = place {
        if moved && !store::track(tx, id, place)? {
            return Err(Error::internal("a shipment has changed while its order was locked"));
        }
        shipment.tracking = place;
        tracking::follow(tx, now, &order, &shipment, (place, by))?;
    }
    let told = place.filter(|_| moved).and_then(|(place, _)| place.event());
    let kinds: Vec<&'static str> = new.then_some("shipment.scanned.v1").into_iter().chain(told).collect();
    if !kinds.is_empty() {
        orders::save(tx, now, &mut order, &[], super::service::place(kinds.len()))?;
        let payload = parcel(&order, &shipment)?;
        let happened = kinds.into_iter().map(|kind| (kind, payload.clone())).collect();
        announce(tx, (now, scan.at), actor, &order, &mut draw, happened)?;
    }
    Ok(shipment)
}

/// When a shipment was first said to have arrived; not before it left.
fn first_arrival(marks: &[Mark], shipment: &Shipment) -> Option<Instant> {
    let arrivals = marks.iter().filter(|mark| mark.what == Tracking::Delivered);
    arrivals.map(|mark| mark.at.max(shipment.shipped_at)).min()
}

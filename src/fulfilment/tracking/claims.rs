//! Claims: opened and withdrawn by what is heard of a parcel, settled by people.

pub(super) use super::store::page;
use super::{
    model::{ClaimCommand, ClaimKind, ClaimState, Mark, Resolution, ShipmentClaim, Tracking},
    store,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    fulfilment::{
        Fresh, Shipment,
        claimed::{self, ClaimedPieces},
        reship::reship,
        service::start_shipment,
    },
    kernel::{
        Actor, Instant, Waiting,
        ids::{OrderId, ShipmentId},
    },
    orders::OrderDocument,
    stock::Locations,
};

/// Opens or withdraws the claim of a parcel of a locked order by where it is now. What somebody has settled stays so.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn follow(
    tx: &mut Tx,
    now: Instant,
    order: &OrderDocument,
    shipment: &Shipment,
    (place, by): (Tracking, Option<Mark>),
) -> Result<()> {
    let known = store::claim(tx, shipment.id)?;
    let said = place.claim();
    let done = said == Some(ClaimKind::Lost) && claimed::is_done(tx, shipment.id)?;
    match (said, known) {
        (None, None) => Ok(()),
        // Its customer was first: it is known that it is lost, and nothing is to be done.
        (Some(_), Some(known)) if done => end(tx, now, known),
        (Some(kind), None) => store::insert(
            tx,
            &ShipmentClaim {
                shipment_id: shipment.id,
                order_id: order.id,
                order_number: order.number.clone(),
                channel_id: order.channel_id,
                location_id: shipment.location_id,
                kind,
                state: if done { ClaimState::Settled } else { ClaimState::Open },
                since: by.map_or(now, |mark| mark.at),
                resolution: done.then_some(Resolution::Refunded),
                note: done.then(|| MADE_GOOD.to_owned()),
                reshipped_by: Vec::new(),
                version: 1,
                updated_at: now,
            },
        ),
        (kind, Some(known)) => {
            let command = if kind.is_some() { ClaimCommand::Open } else { ClaimCommand::Withdraw };
            // What does not take it is settled, or withdrawn already.
            let Ok(state) = known.state.apply(command) else { return Ok(()) };
            let (kind, since) = (kind.unwrap_or(known.kind), by.map_or(known.since, |mark| mark.at));
            if (kind, state, since) == (known.kind, known.state, known.since) {
                return Ok(());
            }
            save(tx, ShipmentClaim { kind, state, since, version: known.version + 1, updated_at: now, ..known })
                .map(|_| ())
        }
    }
}

/// Why nobody has to see to a lost parcel.
const MADE_GOOD: &str = "its pieces were made good by a customer's claim";

/// Ends the open claims of lost parcels of a locked order, of which all was made good by claims of its customer.
///
/// # Errors
/// What the database says.
pub fn made_good(tx: &mut Tx, now: Instant, order: OrderId, pieces: &[ClaimedPieces]) -> Result<()> {
    let open = store::open_of(tx, order)?;
    let lost = open.into_iter().filter(|claim| claim.kind == ClaimKind::Lost);
    for known in lost.filter(|claim| pieces.iter().any(|one| one.shipment == claim.shipment_id)) {
        if claimed::is_done(tx, known.shipment_id)? {
            end(tx, now, known)?;
        }
    }
    Ok(())
}

fn end(tx: &mut Tx, now: Instant, known: ShipmentClaim) -> Result<()> {
    if known.state == ClaimState::Settled {
        return Ok(());
    }
    let (state, resolution, note) = (ClaimState::Settled, Some(Resolution::Refunded), Some(MADE_GOOD.to_owned()));
    save(tx, ShipmentClaim { state, resolution, note, version: known.version + 1, updated_at: now, ..known })
        .map(|_| ())
}

fn save(tx: &mut Tx, claim: ShipmentClaim) -> Result<ShipmentClaim> {
    match store::update(tx, &claim)? {
        true => Ok(claim),
        false => Err(Error::overtaken("the claim")),
    }
}

/// A claim that the actor may see.
///
/// # Errors
/// `not_found`.
pub(super) fn get(tx: &mut Tx, actor: &Actor, shipment: ShipmentId) -> Result<ShipmentClaim> {
    let found = store::claim(tx, shipment)?;
    let seen = found.filter(|claim| actor.sees_location(claim.location_id) && actor.sees_channel(claim.channel_id));
    seen.ok_or_else(|| Error::not_found("claim"))
}

/// The open claims of an order's parcels.
///
/// # Errors
/// What the database says.
pub fn open_of(tx: &mut Tx, order: OrderId) -> Result<Vec<ShipmentClaim>> {
    store::open_of(tx, order)
}

/// The oldest open claims that the actor may see.
///
/// # Errors
/// What the database says.
pub fn open(tx: &mut Tx, actor: &Actor, limit: i64) -> Result<Vec<ShipmentClaim>> {
    store::page(tx, actor, ClaimState::Open, None, limit)
}

/// Open claims of parcels that come back to their sender, the oldest first, after one of them.
///
/// # Errors
/// What the database says.
pub fn coming_back(tx: &mut Tx, after: Option<(Instant, ShipmentId)>, limit: i64) -> Result<Vec<ShipmentClaim>> {
    let kind = ClaimKind::ReturnedToSender;
    store::page_of(tx, &Actor::System("fulfilment"), (ClaimState::Open, Some(kind)), after, limit)
}

/// Notes under the lock of its order that a parcel which comes back was received before: nothing of it is left to come back. Nothing happens
/// where it was seen to, or does not come back any more.
///
/// # Errors
/// What the database says.
pub fn received(tx: &mut Tx, now: Instant, id: ShipmentId) -> Result<()> {
    let known = store::claim(tx, id)?.filter(|claim| claim.kind == ClaimKind::ReturnedToSender);
    let Some((known, Ok(state))) = known.map(|known| (known.clone(), known.state.apply(ClaimCommand::Settle))) else {
        return Ok(());
    };
    let (resolution, version) = (Some(Resolution::Received), known.version + 1);
    let note = Some("nothing of it was left to come back".to_owned());
    save(tx, ShipmentClaim { state, resolution, note, version, updated_at: now, ..known }).map(|_| ())
}

/// Notes that somebody has seen to it. Where the goods of a lost parcel are sent again, fulfilment orders are opened for them, once: under
/// the lock of the order.
///
/// # Errors
/// `not_found`; `already_claimed` where a customer's claim has its pieces; `state_conflict`, also where goods that are not lost are to be sent again; `out_of_stock` and `location_inactive` where goods to be sent again are not to be had.
pub(super) fn settle(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: ShipmentId,
    (resolution, note, locations): (Resolution, Option<String>, &Locations),
) -> Result<ShipmentClaim> {
    get(tx, actor, id)?;
    let (mut order, mut shipment) = start_shipment(tx, actor, id)?;
    // Read under the lock: it is settled once.
    let known = get(tx, actor, id)?;
    let state = known.state.apply(ClaimCommand::Settle)?;
    let again = resolution == Resolution::Reshipped;
    if again && known.kind != ClaimKind::Lost {
        let detail =
            "what comes back is here again: take it back as a return, or correct the shipment and ship it once more";
        return Err(Error::conflict(detail).at("/resolution"));
    }
    match resolution {
        Resolution::Reshipped => claimed::seize(tx, &shipment, false)?,
        // What a customer's claim has made good before is part of it.
        Resolution::Refunded | Resolution::Received => claimed::seize(tx, &shipment, true)?,
        Resolution::Compensated | Resolution::Dismissed => (),
    }
    let (reshipped_by, booking) = match again {
        true => {
            let both = (&mut order, &mut shipment);
            let (opened, booking) = reship(tx, now, actor, &mut fresh.draw(), both, locations)?;
            (opened, Some(booking))
        }
        false => (Vec::new(), None),
    };
    let (resolution, version) = (Some(resolution), known.version + 1);
    let settled = save(tx, ShipmentClaim { state, resolution, note, reshipped_by, version, updated_at: now, ..known })?;
    // The levels come last.
    if let Some(booking) = booking {
        booking.apply(tx, now)?;
    }
    Ok(settled)
}

/// Open claims that the actor may see, as what waits for a person; the oldest first.
///
/// # Errors
/// What the database says.
pub fn waiting(tx: &mut Tx, actor: &Actor, limit: i64) -> Result<Vec<Waiting>> {
    let item = |claim: ShipmentClaim| {
        let number = claim.order_number;
        Waiting {
            id: claim.shipment_id.to_string(),
            since: claim.since,
            subject: match claim.kind {
                ClaimKind::Lost => format!(
                    "a parcel of order {number} is lost: send it again or refund it, and claim it of the carrier"
                ),
                ClaimKind::ReturnedToSender => {
                    format!(
                        "a parcel of order {number} comes back: book it as a return when it is here, or send it again"
                    )
                }
            },
            link: format!("/v1/ops/shipments/{}/claim", claim.shipment_id),
        }
    };
    Ok(store::page(tx, actor, ClaimState::Open, None, limit)?.into_iter().map(item).collect())
}

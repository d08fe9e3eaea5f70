//! Claims: opened and withdrawn by what is heard of a parcel, settled by people.

pub(super) use super::store::page;
use super::{
    model::{ClaimCommand, ClaimKind, ClaimState, Mark, Resolution, ShipmentClaim, Tracking},
    store,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    fulfilment::Shipment,
    kernel::{Actor, Instant, Waiting, ids::ShipmentId},
    orders::OrderDocument,
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
    match (place.claim(), known) {
        (None, None) => Ok(()),
        (Some(kind), None) => store::insert(
            tx,
            &ShipmentClaim {
                shipment_id: shipment.id,
                order_id: order.id,
                order_number: order.number.clone(),
                channel_id: order.channel_id,
                location_id: shipment.location_id,
                kind,
                state: ClaimState::Open,
                since: by.map_or(now, |mark| mark.at),
                resolution: None,
                note: None,
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

/// Notes that somebody has seen to it.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn settle(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    shipment: ShipmentId,
    (resolution, note): (Resolution, Option<String>),
) -> Result<ShipmentClaim> {
    let known = get(tx, actor, shipment)?;
    let state = known.state.apply(ClaimCommand::Settle)?;
    let resolution = Some(resolution);
    save(tx, ShipmentClaim { state, resolution, note, version: known.version + 1, updated_at: now, ..known })
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

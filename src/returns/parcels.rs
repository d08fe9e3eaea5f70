//! Parcels that their carriers bring back, as return requests.

use std::collections::BTreeMap;

use super::{
    model::{RequestOrigin, ReturnReason, ReturnWish},
    service::{By, NewRequest, Wanted, open_of},
    store,
};
use crate::{
    db::Tx,
    error::Result,
    fulfilment::{self, Shipment, tracking::ShipmentClaim},
    kernel::{
        Instant,
        ids::{EventId, OrderId, ReturnRequestId, ShipmentId},
    },
    orders::{self, OrderDocument, OrderLine},
};

/// What becomes of a parcel that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// Something of it is left that nobody expects yet.
    Open,
    /// All that is left of it is expected or claimed by others: what these let go is looked at again.
    ByOthers,
    /// Nothing of it is left to come back, and nobody expects anything.
    Nothing,
}

/// Those of some parcels that have no request, with what becomes of them: a statement, and a few for each that has none.
pub(super) fn missing(tx: &mut Tx, claims: &[ShipmentClaim]) -> Result<Vec<(ShipmentClaim, Expected)>> {
    let ids: Vec<ShipmentId> = claims.iter().map(|claim| claim.shipment_id).collect();
    let known = store::with_parcels(tx, &ids)?;
    let mut missing = Vec::new();
    for claim in claims.iter().filter(|claim| !known.contains(&claim.shipment_id)) {
        let order = orders::document(tx, claim.order_id)?;
        let shipments = fulfilment::shipments(tx, claim.order_id)?;
        let expected = order.map_or(Expected::Nothing, |order| look(&order, &shipments, claim.shipment_id).0);
        missing.push((claim.clone(), expected));
    }
    Ok(missing)
}

/// What is left of a parcel of an order, and what becomes of it.
fn look(order: &OrderDocument, shipments: &[Shipment], id: ShipmentId) -> (Expected, Vec<Wanted>) {
    let nothing = (Expected::Nothing, Vec::new());
    let parcel = shipments.iter().find(|one| one.id == id && one.corrected_at.is_none());
    let Some(parcel) = parcel.filter(|_| order.state.apply(orders::Command::Return).is_ok()) else { return nothing };
    let mut pieces: BTreeMap<i32, i64> = BTreeMap::new();
    for line in &parcel.lines {
        *pieces.entry(line.line_no).or_default() += line.quantity;
    }
    let lines = pieces.iter().filter_map(|(line_no, sent)| {
        let line = order.line(*line_no).ok().filter(|line| line.requires_shipping)?;
        Some((line, *sent))
    });
    let lines: Vec<_> = lines.collect();
    let left = |(line, sent): &(&OrderLine, i64)| {
        let quantity = (*sent).min(line.returnable());
        (quantity > 0).then_some(Wanted { line_no: line.line_no, quantity, reason: ReturnReason::Refused })
    };
    let wanted: Vec<Wanted> = lines.iter().filter_map(left).collect();
    let others = lines.iter().any(|(line, _)| line.quantities.coming_back + line.quantities.claimed > 0);
    match (wanted.is_empty(), others) {
        (false, _) => (Expected::Open, wanted),
        (true, true) => (Expected::ByOthers, wanted),
        (true, false) => nothing,
    }
}

/// Ends what waits for a parcel of which nothing is left to come back: it was taken back before.
pub(super) fn end(tx: &mut Tx, now: Instant, (order, shipment): (OrderId, ShipmentId)) -> Result<()> {
    let order = orders::lock(tx, order)?;
    let shipments = fulfilment::shipments(tx, order.id)?;
    let is_known = !store::with_parcels(tx, &[shipment])?.is_empty();
    match look(&order, &shipments, shipment).0 {
        Expected::Nothing if !is_known => fulfilment::tracking::received(tx, now, shipment),
        _ => Ok(()),
    }
}

/// Makes an approved request of what is left of a parcel that its carrier brings back. Nothing happens where there is one, or nothing is left.
pub(super) fn open_for_parcel(
    tx: &mut Tx,
    by: By<'_>,
    fresh: &[EventId],
    (order, shipment): (OrderId, ShipmentId),
    (id, number): (ReturnRequestId, &str),
) -> Result<()> {
    let mut order = orders::lock(tx, order)?;
    let shipments = fulfilment::shipments(tx, order.id)?;
    let (_, lines) = look(&order, &shipments, shipment);
    if lines.is_empty() || !store::with_parcels(tx, &[shipment])?.is_empty() {
        return Ok(());
    }
    let new = NewRequest {
        id,
        number: number.to_owned(),
        origin: RequestOrigin::Carrier,
        wish: ReturnWish::Refund,
        lines,
        bundles: Vec::new(),
        bundles_because: ReturnReason::Refused,
        comment: None,
        approved: Some("its carrier brings it back".to_owned()),
        shipment: Some(shipment),
        withdrawal: None,
        registration: None,
    };
    open_of(tx, by, fresh, &mut order, &new).map(|_| ())
}

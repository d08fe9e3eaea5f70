//! What time brings to returns, and what is done beside requests.

use std::sync::Arc;

use super::{
    advances,
    api::ids,
    claims, labels,
    parcels::{self, Expected},
    second, service, withdrawals,
};
use crate::{
    db::Lane,
    error::Result,
    fulfilment::tracking,
    http::State,
    jobs::Runner,
    kernel::{
        Actor, Id, Instant,
        ids::{OrderId, ShipmentId},
    },
};

/// So many are looked at in one turn; the next comes soon.
const MOST: i64 = 200;

/// Registers what is done again and again. Each request is a transaction of its own, which looks again under its order's lock.
pub fn work(state: &State, runner: &mut Runner) {
    let shared = Arc::new(state.clone());
    let own = shared.clone();
    runner.every("returns.expire", 300, move |now| {
        let state = own.clone();
        async move { expire(&state, now).await }
    });
    let own = shared.clone();
    runner.every("returns.parcels-coming-back", 60, move |now| {
        let state = own.clone();
        async move { take_in_parcels(&state, now).await }
    });
    second::register(state, runner);
    claims::second::register(state, runner);
    labels::work(&shared, runner);
    advances::work(&shared, runner);
    withdrawals::jobs::work(&shared, runner);
}

async fn expire(state: &State, now: Instant) -> Result<()> {
    for id in state.db.read(move |tx| service::over(tx, now, MOST)).await? {
        let fresh = ids(1);
        let ended = state.db.write_in(Lane::Bulk, move |tx| service::expire(tx, now, &fresh, id)).await;
        // One that fails keeps none of the others waiting; its next turn tries it again.
        if let Err(error) = ended {
            tracing::warn!(request = %id, %error, "that a return request is over could not be written down");
        }
    }
    Ok(())
}

/// Makes a return request of each parcel that its carrier brings back, so that what is in it is expected, and settled once.
async fn take_in_parcels(state: &State, now: Instant) -> Result<()> {
    let mut after = None;
    loop {
        let claims = state.db.read(move |tx| {
            let claims = tracking::coming_back(tx, after, MOST)?;
            let last = claims.last().map(|claim| (claim.since, claim.shipment_id));
            Ok((parcels::missing(tx, &claims)?, last))
        });
        let (missing, last) = claims.await?;
        for (claim, expected) in missing {
            let (order, shipment) = (claim.order_id, claim.shipment_id);
            if expected != Expected::Open {
                end_parcel(state, now, expected, (order, shipment)).await;
                continue;
            }
            let (fresh, id) = (ids(2), Id::new());
            let number = format!("RMA{}", state.db.next_number("return_requests").await?);
            let opened = state.db.write_in(Lane::Bulk, move |tx| {
                let by = (now, &Actor::System("returns"));
                parcels::open_for_parcel(tx, by, &fresh, (order, shipment), (id, &number))
            });
            if let Err(error) = opened.await {
                tracing::warn!(%shipment, %error, "no return request could be made of a parcel that comes back");
            }
        }
        match last {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

/// What waits for a parcel ends where nothing of it is left to come back; it is looked at no more.
async fn end_parcel(state: &State, now: Instant, expected: Expected, about: (OrderId, ShipmentId)) {
    if expected != Expected::Nothing {
        return;
    }
    if let Err(error) = state.db.write_in(Lane::Bulk, move |tx| parcels::end(tx, now, about)).await {
        tracing::warn!(shipment = %about.1, %error, "that nothing of a parcel is left to come back could not be written down");
    }
}

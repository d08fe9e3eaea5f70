//! What time brings to fulfilment orders: holds that are over, and shops that do not answer.

use std::sync::Arc;

use super::service;
use crate::{
    db::Lane,
    error::Result,
    fulfilment::{holds, ids::Fresh, service::unaccepted},
    http::State,
    jobs::Runner,
    kernel::{Instant, ids::FulfilmentOrderId},
    stock::Locations,
};

/// So many are looked at in one turn; the next comes soon.
const MOST: i64 = 200;

/// Registers what is done again and again. Each fulfilment order is a transaction of its own, which looks again under the lock of
/// the order: what is answered meanwhile is left alone.
pub(in crate::fulfilment) fn register(state: &State, runner: &mut Runner) {
    let state = Arc::new(state.clone());
    let holding = state.clone();
    runner.every("fulfilment.end-holds", 30, move |now| {
        let state = holding.clone();
        async move { end_holds(&state, now).await }
    });
    runner.every("fulfilment.resource-unaccepted", 30, move |now| {
        let state = state.clone();
        async move { resource_unaccepted(&state, now).await }
    });
}

async fn end_holds(state: &State, now: Instant) -> Result<()> {
    for id in state.db.read(move |tx| holds::over(tx, now, MOST)).await? {
        let fresh = Fresh::new();
        let ended = state.db.write_in(Lane::Bulk, move |tx| holds::expire(tx, now, &fresh, id)).await;
        go_on(id, ended);
    }
    Ok(())
}

async fn resource_unaccepted(state: &State, now: Instant) -> Result<()> {
    let due = state.db.read(move |tx| unaccepted(tx, now, MOST)).await?;
    if due.is_empty() {
        return Ok(());
    }
    let locations = state.db.snapshot::<Locations>().await?;
    for id in due {
        let (fresh, locations) = (Fresh::new(), locations.clone());
        let give_up = move |tx: &mut crate::db::Tx| service::give_up_waiting(tx, now, &fresh, id, &locations);
        go_on(id, state.db.write_in(Lane::Bulk, give_up).await);
    }
    Ok(())
}

/// One that fails keeps none of the others waiting; its next turn tries it again.
fn go_on(id: FulfilmentOrderId, done: Result<()>) {
    if let Err(error) = done {
        tracing::warn!(fulfilment_order = %id, %error, "what time brings to a fulfilment order could not be written down");
    }
}

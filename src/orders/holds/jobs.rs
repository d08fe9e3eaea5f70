//! What time brings to holds.

use std::sync::Arc;

use super::service;
use crate::{
    db::Lane,
    error::Result,
    http::State,
    jobs::Runner,
    kernel::{Instant, ids::EventId},
};

/// So many are looked at in one turn; the next comes soon.
const MOST: i64 = 200;

/// Registers what is done again and again. Each order is a transaction of its own, which looks again under its lock.
pub fn work(state: &State, runner: &mut Runner) {
    let state = Arc::new(state.clone());
    runner.every("orders.end-holds", 30, move |now| {
        let state = state.clone();
        async move { end_holds(&state, now).await }
    });
}

async fn end_holds(state: &State, now: Instant) -> Result<()> {
    for id in state.db.read(move |tx| service::over(tx, now, MOST)).await? {
        let event = EventId::new();
        let ended = state.db.write_in(Lane::Bulk, move |tx| service::end_over(tx, now, event, id)).await;
        // One that fails keeps none of the others waiting; its next turn tries it again.
        if let Err(error) = ended {
            tracing::warn!(order = %id, %error, "that a hold is over could not be written down");
        }
    }
    Ok(())
}

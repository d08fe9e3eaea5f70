//! What time brings to quotes.

use std::sync::Arc;

use super::service;
use crate::{
    db::Lane,
    error::Result,
    http::State,
    jobs::Runner,
    kernel::{Id, Instant},
};

/// So many are looked at in one turn; the next comes soon.
const MOST: i64 = 100;

/// Registers what is done again and again.
pub fn work(state: &State, runner: &mut Runner) {
    let state = Arc::new(state.clone());
    runner.every("quotes.expire", 30, move |now| {
        let state = state.clone();
        async move { expire(&state, now).await }
    });
}

async fn expire(state: &State, now: Instant) -> Result<()> {
    for id in state.db.read(move |tx| service::due(tx, now, MOST)).await? {
        let event = Id::new();
        let ended = state.db.write_in(Lane::Bulk, move |tx| service::expire(tx, now, (id, event))).await;
        // One that fails keeps none of the others waiting; its next turn tries it again.
        if let Err(error) = ended {
            tracing::warn!(quote = %id, %error, "that a quote is over could not be written down");
        }
    }
    Ok(())
}

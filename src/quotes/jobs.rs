//! What time brings to quotes.

use std::sync::Arc;

use super::{second, service};
use crate::{
    db::Lane,
    error::Result,
    http::State,
    jobs::Runner,
    kernel::{Id, Instant},
};

/// So many are looked at in one turn; the next comes soon.
const MOST: i64 = 100;

/// Registers what is done again and again, and what was approved.
pub fn work(state: &State, runner: &mut Runner) {
    second::register(state, runner);
    let state = Arc::new(state.clone());
    let own = state.clone();
    runner.every("quotes.ordered", 30, move |now| {
        let state = own.clone();
        async move { ordered(&state, now).await }
    });
    runner.every("quotes.expire", 30, move |now| {
        let state = state.clone();
        async move { expire(&state, now).await }
    });
}

/// Notes the orders of those that were paid a while after they were accepted.
async fn ordered(state: &State, now: Instant) -> Result<()> {
    let mut after = None;
    loop {
        let (found, last) = state.db.read(move |tx| service::ordered(tx, after, MOST)).await?;
        for id in found {
            let event = Id::new();
            let noted = state.db.write_in(Lane::Bulk, move |tx| service::note_order(tx, now, (id, event))).await;
            if let Err(error) = noted {
                tracing::warn!(quote = %id, %error, "that a quote was ordered could not be written down");
            }
        }
        match last {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
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

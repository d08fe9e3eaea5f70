//! Ordering what is sent in exchange, through the checkout as everybody does, and what is noted of it afterwards.

use std::sync::Arc;

use super::service::{self, Wanted};
use crate::{
    carts::Context,
    checkout::{self, CompleteRequest},
    db::Lane,
    error::Result,
    http::{Reply, State, idempotency::Key},
    jobs::Runner,
    kernel::{
        Actor, Id, Instant,
        ids::{ChannelId, ReturnRequestId},
    },
};

/// So many are looked at in one turn.
const MOST: i64 = 200;

/// Orders goods in exchange for those of a request. However often it is begun, and by whomever, its cart is one order.
///
/// # Errors
/// What stands in the way of the exchange, or of completing its cart.
pub(in crate::returns) async fn place(
    state: &State,
    (now, actor): (Instant, &Actor),
    (id, channel): (ReturnRequestId, ChannelId),
    (wanted, payment): (Wanted, CompleteRequest),
    key: Option<Key>,
) -> Result<Reply> {
    let context = Context::of(state, channel, now).await?;
    let (fresh, staff) = (Id::new(), actor.clone());
    let begun = state.db.write(move |tx| service::begin(tx, &context, (now, &staff), (id, fresh), &wanted));
    let cart = begun.await?;
    let reply = checkout::complete_for(state, (actor.clone(), None), channel, cart, payment, key).await?;
    note(state, now, actor.clone(), id).await?;
    Ok(reply)
}

async fn note(state: &State, now: Instant, actor: Actor, id: ReturnRequestId) -> Result<()> {
    let fresh = [Id::new()];
    state.db.write(move |tx| service::note(tx, (now, &actor), &fresh, id)).await
}

/// Registers what is done again and again: carts that were ordered by their customers, or whose order nobody has noted.
pub(in crate::returns) fn work(state: &Arc<State>, runner: &mut Runner) {
    let state = state.clone();
    runner.every("returns.note-exchanges", 60, move |now| {
        let state = state.clone();
        async move { look(&state, now).await }
    });
}

async fn look(state: &State, now: Instant) -> Result<()> {
    let mut after = None;
    loop {
        let found = state.db.read(move |tx| service::open(tx, after, MOST)).await?;
        for id in &found {
            let (id, fresh) = (*id, [Id::new()]);
            let noted = state
                .db
                .write_in(Lane::Bulk, move |tx| service::note(tx, (now, &Actor::System("returns")), &fresh, id));
            // One that fails keeps none of the others waiting; its next turn tries it again.
            if let Err(error) = noted.await {
                tracing::warn!(request = %id, %error, "the order of an exchange could not be noted");
            }
        }
        match found.last() {
            Some(last) => after = Some(*last),
            None => return Ok(()),
        }
    }
}

//! What follows requests: what is approved is ordered, what nobody decides ends.

use std::sync::Arc;

use serde::Deserialize;

use super::service::{self, ORDER};
use crate::{
    checkout::{self, CompleteRequest, PaymentChoice},
    db::Lane,
    error::{Error, Result},
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::{Actor, Id, Instant, ids::ApprovalRequestId, text::Text},
    orders,
};

/// So many are ended in one turn; the next comes soon.
const MOST: i64 = 100;

/// Registers them.
pub fn work(state: &State, runner: &mut Runner) {
    let ordering = state.clone();
    runner.handle(ORDER, move |job| order(ordering.clone(), job));
    let state = Arc::new(state.clone());
    let own = state.clone();
    runner.every("approvals.bought", 30, move |now| {
        let state = own.clone();
        async move { bought(&state, now).await }
    });
    let own = state.clone();
    runner.every("approvals.overtaken", 30, move |now| {
        let state = own.clone();
        async move { overtaken(&state, now).await }
    });
    runner.every("approvals.expire", 30, move |now| {
        let state = state.clone();
        async move { expire(&state, now).await }
    });
}

/// Notes the orders of those who have completed their approved carts themselves.
async fn bought(state: &State, now: Instant) -> Result<()> {
    let mut after = None;
    loop {
        let (found, last) = state.db.read(move |tx| service::bought(tx, after, MOST)).await?;
        for (request, order) in found {
            let (event, id) = (Id::new(), request.id);
            let noted =
                state.db.write_in(Lane::Bulk, move |tx| service::end(tx, now, (&request, event), Ok(order))).await;
            // One that fails keeps none of the others waiting; its next turn tries it again.
            if let Err(error) = noted {
                tracing::warn!(request = %id, %error, "that an approved cart was ordered could not be written down");
            }
        }
        match last {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

/// Ends requests whose carts have changed, so that nobody is asked for what can not be approved.
async fn overtaken(state: &State, now: Instant) -> Result<()> {
    let mut after = None;
    loop {
        let (found, last) = state.db.read(move |tx| service::overtaken(tx, after, MOST)).await?;
        for id in found {
            let event = Id::new();
            let ended = state.db.write_in(Lane::Bulk, move |tx| service::end_overtaken(tx, now, (id, event))).await;
            // One that fails keeps none of the others waiting; its next turn tries it again.
            if let Err(error) = ended {
                tracing::warn!(request = %id, %error, "that a cart has changed could not be written down");
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
            tracing::warn!(request = %id, %error, "that nobody has approved could not be written down");
        }
    }
    Ok(())
}

/// What an `approvals.order` job knows.
#[derive(Deserialize)]
struct Task {
    request: ApprovalRequestId,
}

/// Orders what was approved, through the checkout as everybody does: however often it is begun, one cart is one order.
async fn order(state: State, job: Job) -> Result<Verdict> {
    let Task { request: id } = serde_json::from_value(job.payload.clone())?;
    let found = state.db.read(move |tx| service::approved(tx, id)).await?;
    let Some(request) = found else { return Ok(Verdict::Done) };
    let Some(method) = request.payment_method.clone() else { return Ok(Verdict::Done) };
    let method = Text::new(&method).map_err(|error| Error::internal(format!("{error:?}")))?;
    let wanted = CompleteRequest {
        expected_total: Some(request.total),
        expected_due: None,
        payment: Some(PaymentChoice { method, instrument: None, return_url: None }),
        risk: None,
    };
    let (actor, cart) = (Actor::System("approvals"), request.cart_id);
    let completed = checkout::complete_for(&state, (actor, None), request.channel_id, cart, wanted, None).await;
    let outcome = match completed {
        Ok(_) => {
            let placed = state.db.read(move |tx| orders::of_cart(tx, cart)).await?;
            // Nobody outside is asked, so that there is one.
            Ok(placed.map(|order| order.id).ok_or_else(|| Error::internal("an approved cart has no order yet"))?)
        }
        Err(Error::Problem(problem)) if problem.code.status() < 500 => {
            Err(format!("{}: {}", problem.code.as_str(), problem.detail))
        }
        Err(error) => return Err(error),
    };
    let (now, event) = (state.clock.now(), Id::new());
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        service::end(tx, now, (&request, event), outcome.clone())
    });
    written.await?;
    Ok(Verdict::Settled)
}

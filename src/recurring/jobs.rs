//! What time brings to recurring orders.

use std::sync::Arc;

use serde::Deserialize;

use super::service::{self, ORDER};
use crate::{
    carts::Context,
    checkout::{self, CompleteRequest, PaymentChoice},
    db::Lane,
    error::{Error, Result},
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::{
        Actor, Id, Instant,
        ids::{OrderId, RecurringId},
        text::Text,
    },
    orders,
};

/// So many are taken in one turn; the next comes soon.
const MOST: i64 = 100;

/// Registers what is done again and again.
pub fn work(state: &State, runner: &mut Runner) {
    let ordering = state.clone();
    runner.handle(ORDER, move |job| order(ordering.clone(), job));
    let state = Arc::new(state.clone());
    runner.every("recurring.take-due", 60, move |now| {
        let state = state.clone();
        async move { take_due(&state, now).await }
    });
}

async fn take_due(state: &State, now: Instant) -> Result<()> {
    for id in state.db.read(move |tx| service::due(tx, now, MOST)).await? {
        let ids = (Id::new(), Id::new());
        let taken = state.db.write_in(Lane::Bulk, move |tx| service::take_due(tx, now, id, ids)).await;
        // One that fails keeps none of the others waiting; its next turn tries it again.
        if let Err(error) = taken {
            tracing::warn!(recurring = %id, %error, "the date of a recurring order could not be taken");
        }
    }
    Ok(())
}

/// What a `recurring.order` job knows.
#[derive(Deserialize)]
struct Task {
    recurring: RecurringId,
    due_at: Instant,
}

/// Orders a date, through the checkout as everybody does: however often it is begun, its cart is one order.
async fn order(state: State, job: Job) -> Result<Verdict> {
    let Task { recurring, due_at } = serde_json::from_value(job.payload.clone())?;
    let found = state.db.read(move |tx| service::placing(tx, recurring, due_at)).await?;
    let Some((one, run)) = found else { return Ok(Verdict::Done) };
    let outcome = match place(&state, &one, &run).await {
        Ok(Some(order)) => Ok(order),
        // It was paused or ended meanwhile.
        Ok(None) => return Ok(Verdict::Done),
        Err(Error::Problem(problem)) if problem.code.status() < 500 => {
            Err(format!("{}: {}", problem.code.as_str(), problem.detail))
        }
        Err(error) => return Err(error),
    };
    let (now, event) = (state.clock.now(), Id::new());
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        service::end(tx, now, event, (recurring, &run), outcome.clone())
    });
    written.await?;
    Ok(Verdict::Settled)
}

async fn place(state: &State, one: &super::RecurringOrder, run: &super::RecurringRun) -> Result<Option<OrderId>> {
    let context = Context::of(state, one.channel_id, state.clock.now()).await?;
    let (of, date) = (one.clone(), run.clone());
    if !state.db.write_in(Lane::Bulk, move |tx| service::make_cart(tx, &context, (&of, &date))).await? {
        return Ok(None);
    }
    let method = Text::new(&one.payment_method).map_err(|error| Error::internal(format!("{error:?}")))?;
    let payment = Some(PaymentChoice { method, instrument: None, return_url: None });
    let wanted = CompleteRequest { expected_total: None, expected_due: None, payment, risk: None };
    let (actor, cart) = (Actor::System("recurring"), run.cart_id);
    checkout::complete_for(state, (actor, None), one.channel_id, cart, wanted, None).await?;
    let placed = state.db.read(move |tx| orders::of_cart(tx, cart)).await?;
    // Nobody outside is asked, so that there is one.
    placed.map(|order| Some(order.id)).ok_or_else(|| Error::internal("the cart of a date has no order yet"))
}

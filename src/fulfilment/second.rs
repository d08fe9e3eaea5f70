//! Cancellations that give back more than one person does alone: a second one approves them, and they are made then, once.

use serde::{Deserialize, Serialize};

use super::{
    api::CancelRequest,
    cancel::{self, Cancellation},
    ids::Fresh,
    till::GiveTo,
};
use crate::{
    countersign::{self, Ceilinged, CountersignRequest, CountersignSubject, Giving, Wanted},
    db::Tx,
    error::{Error, Result},
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::{Actor, Instant, Money, ids::OrderId},
    orders::{self, OrderDocument},
    payments::Target,
};

/// That staff give so much of an order back alone since pieces of it are cancelled, in minor units. The order is locked.
///
/// # Errors
/// `second_person_needed`.
pub fn pass(tx: &mut Tx, by: (Instant, &Actor), order: &OrderDocument, back: i64) -> Result<()> {
    let giving = Giving {
        kind: Ceilinged::Cancel,
        channel: Some(order.channel_id),
        of: Some(order.id.to_string()),
        amount: Money::from_minor(back, order.currency),
    };
    countersign::pass(tx, by, &giving)
}

/// That what is asked for later does not end on a gift card whose code nobody is told.
///
/// # Errors
/// `invalid_value`, at `pointer`.
pub(super) fn no_new_card(to: &GiveTo, pointer: &str) -> Result<()> {
    let to = to.wanted();
    if to.to != Target::GiftCard || to.gift_card_id.is_some() {
        return Ok(());
    }
    let detail = "a second person has to approve it, and nobody would be told the code of a new card: name a gift card";
    Err(Error::invalid(format!("{pointer}/gift_card_id"), detail))
}

/// What is done once it is approved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct What {
    order: OrderId,
    version: i64,
    body: CancelRequest,
}

/// What is asked for where a cancellation needs a second person.
pub(super) fn wanted(tx: &mut Tx, id: OrderId, (body, to): (&CancelRequest, &GiveTo)) -> Result<Wanted<What>> {
    no_new_card(to, "/refund_to")?;
    let order = orders::lock(tx, id)?;
    Ok(Wanted {
        channel: Some(order.channel_id),
        subject: CountersignSubject {
            order_id: Some(id),
            order_version: Some(order.version),
            ..CountersignSubject::default()
        },
        reason: Some(body.reason.to_string()),
        authors: Vec::new(),
        job: None,
        what: What { order: id, version: order.version, body: body.clone() },
    })
}

/// Registers the job that makes what was approved.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(Ceilinged::Cancel.job(), move |job| make(state.clone(), job));
}

async fn make(state: State, job: Job) -> Result<Verdict> {
    let Some(request) = countersign::of_job(&state, &job).await? else { return Ok(Verdict::Done) };
    let (fresh, What { order, version, body }) = (Fresh::of(job.id), request.wanted()?);
    let what: Cancellation = body.cancellation()?.0;
    let work = move |tx: &mut Tx, now: Instant, request: &CountersignRequest| {
        let actor = request.by.countersigned();
        request.is_for("order", version, orders::lock(tx, order)?.version)?;
        cancel::cancel(tx, now, &actor, &fresh, order, &what).map(drop)
    };
    countersign::run(&state, job, request, work).await
}

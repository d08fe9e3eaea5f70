//! Offers that give more away than one person does alone: a second one approves them, and they are made then, once.

use serde::{Deserialize, Serialize};

use super::{model::Offer, service};
use crate::{
    countersign::{self, Ceilinged, CountersignRequest, CountersignSubject, Wanted},
    db::Tx,
    error::Result,
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::{
        Actor, Instant,
        ids::{EventId, QuoteId},
    },
};

/// What is done once it is approved: on the quote as it was then.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct What {
    quote: QuoteId,
    version: i64,
    body: Offer,
}

/// What is asked for where an offer needs a second person.
pub(super) fn wanted(tx: &mut Tx, actor: &Actor, (id, body): (QuoteId, &Offer)) -> Result<Wanted<What>> {
    let quote = service::of_staff(tx, actor, id)?;
    Ok(Wanted {
        channel: Some(quote.channel_id),
        subject: CountersignSubject { quote_id: Some(id), ..CountersignSubject::default() },
        reason: None,
        authors: Vec::new(),
        job: None,
        what: What { quote: id, version: quote.version, body: body.clone() },
    })
}

/// Registers the job that makes what was approved.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(Ceilinged::Quote.job(), move |job| offer(state.clone(), job));
}

async fn offer(state: State, job: Job) -> Result<Verdict> {
    let Some(request) = countersign::of_job(&state, &job).await? else { return Ok(Verdict::Done) };
    let (event, What { quote, version, body }) = (EventId::from_bytes(*job.id.bytes()), request.wanted()?);
    let work = move |tx: &mut Tx, now: Instant, request: &CountersignRequest| {
        let actor = request.by.countersigned();
        request.is_for("quote", version, service::locked(tx, quote)?.version)?;
        service::offer(tx, (now, &actor), (quote, event), &body).map(drop)
    };
    countersign::run(&state, job, request, work).await
}

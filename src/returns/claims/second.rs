//! Claims whose refund is more than one person gives alone: a second one approves them, and they are settled then, once.

use serde::{Deserialize, Serialize};

use super::{
    api::SettleClaimRequest,
    service::{self, SettleIds},
};
use crate::{
    countersign::{self, CountersignRequest, CountersignSubject, Wanted},
    db::Tx,
    error::Result,
    fulfilment::Fresh,
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::{Actor, Id, Instant, ids::OrderClaimId},
    orders,
    stock::Locations,
};

/// What is done once it is approved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct What {
    claim: OrderClaimId,
    version: i64,
    body: SettleClaimRequest,
}

/// What is asked for where a claim needs a second person.
pub(super) fn wanted(
    tx: &mut Tx,
    actor: &Actor,
    (id, body): (OrderClaimId, &SettleClaimRequest),
) -> Result<Wanted<What>> {
    let claim = service::read(tx, actor, id)?;
    let order = orders::lock(tx, claim.order_id)?;
    Ok(Wanted {
        channel: Some(order.channel_id),
        subject: CountersignSubject {
            order_id: Some(order.id),
            order_version: Some(order.version),
            claim_id: Some(id),
            ..CountersignSubject::default()
        },
        reason: body.reason.as_ref().map(ToString::to_string),
        authors: Vec::new(),
        job: Some(countersign::CLAIM),
        what: What { claim: id, version: order.version, body: body.clone() },
    })
}

/// Registers the job that settles what was approved.
pub(in crate::returns) fn register(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(countersign::CLAIM, move |job| make(state.clone(), job));
}

async fn make(state: State, job: Job) -> Result<Verdict> {
    let Some(request) = countersign::of_job(&state, &job).await? else { return Ok(Verdict::Done) };
    let What { claim, version, body } = request.wanted()?;
    let locations = state.db.snapshot::<Locations>().await?;
    let made = SettleIds {
        return_id: Id::new(),
        number: format!("R{}", state.db.next_number("returns").await?),
        booking: Fresh::of(job.id),
        event: Id::new(),
    };
    let how = body.settling()?;
    let work = move |tx: &mut Tx, now: Instant, request: &CountersignRequest| {
        let actor = request.by.countersigned();
        let order = service::read(tx, &actor, claim)?.order_id;
        request.is_for("order", version, orders::lock(tx, order)?.version)?;
        service::settle(tx, (now, &actor), &made, claim, (&how, &locations)).map(drop)
    };
    countersign::run(&state, job, request, work).await
}

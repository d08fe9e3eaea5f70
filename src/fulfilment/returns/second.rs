//! Returns that give back more than one person does alone: a second one approves them, and they are booked then, once.

use serde::{Deserialize, Serialize};

use super::{api::ReturnRequest, service};
use crate::{
    channels::Directory,
    countersign::{self, Ceilinged, CountersignRequest, CountersignSubject, Wanted},
    db::Tx,
    error::Result,
    fulfilment::{Fresh, second::no_new_card, till::GiveTo},
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::{
        Actor, Instant,
        ids::{OrderId, ReturnId},
    },
    orders,
    stock::Locations,
};

/// What is done once it is approved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct What {
    /// The order, and its version.
    order: Option<(OrderId, i64)>,
    body: ReturnRequest,
}

/// What is asked for where a return needs a second person.
pub(super) fn wanted(tx: &mut Tx, actor: &Actor, (body, to): (&ReturnRequest, &GiveTo)) -> Result<Wanted<What>> {
    no_new_card(to, "/refund_to")?;
    let order = match body.order() {
        Some(order) => {
            let id = orders::resolve(tx, actor, order)?;
            Some(orders::lock(tx, id)?)
        }
        None => None,
    };
    let (channel, reason) = body.told();
    let seen = order.as_ref().map(|order| (order.id, order.version));
    Ok(Wanted {
        channel: order.as_ref().map(|order| order.channel_id).or(channel),
        subject: CountersignSubject {
            order_id: seen.map(|(id, _)| id),
            order_version: seen.map(|(_, version)| version),
            ..CountersignSubject::default()
        },
        reason,
        authors: Vec::new(),
        job: None,
        what: What { order: seen, body: body.clone() },
    })
}

/// Registers the job that books what was approved.
pub(in crate::fulfilment) fn register(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(Ceilinged::Return.job(), move |job| make(state.clone(), job));
}

async fn make(state: State, job: Job) -> Result<Verdict> {
    let Some(request) = countersign::of_job(&state, &job).await? else { return Ok(Verdict::Done) };
    let (fresh, id, What { order, body }) =
        (Fresh::of(job.id), ReturnId::from_bytes(*job.id.bytes()), request.wanted()?);
    let (locations, directory) = (state.db.snapshot::<Locations>().await?, state.db.snapshot::<Directory>().await?);
    let give_to = GiveTo::of(body.refund_to(), "/refund_to")?;
    let number = format!("R{}", state.db.next_number("returns").await?);
    let work = move |tx: &mut Tx, now: Instant, request: &CountersignRequest| {
        let actor = request.by.countersigned();
        if let Some((order, version)) = order {
            request.is_for("order", version, orders::lock(tx, order)?.version)?;
        }
        let new = body.new_return(tx, &actor, (&locations, &directory), (id, &number, &give_to))?;
        service::receive(tx, now, &actor, &fresh, &locations, &new).map(drop)
    };
    countersign::run(&state, job, request, work).await
}

//! Returns that are settled with their customers for more than one person gives back alone: a second one approves that, and they are settled
//! then, once.

use serde::{Deserialize, Serialize};

use super::{
    api::ids,
    forms::SettleRequest,
    handling::{self, SettleIds},
    model::ReturnWish,
    service,
};
use crate::{
    countersign::{self, CountersignRequest, CountersignSubject, Wanted},
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{Fresh, GiveTo},
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::{Actor, Id, Instant, ids::ReturnRequestId},
    orders,
    stock::Locations,
};

/// What is done once it is approved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct What {
    request: ReturnRequestId,
    version: i64,
    body: SettleRequest,
}

/// What is asked for where settling needs a second person.
pub(super) fn wanted(
    tx: &mut Tx,
    actor: &Actor,
    (id, body): (ReturnRequestId, &SettleRequest),
) -> Result<Wanted<What>> {
    let request = service::read(tx, actor, id)?;
    let order = orders::lock(tx, request.order_id)?;
    let wish = body.wish.unwrap_or(request.wish);
    let onto_card = wish == ReturnWish::GiftCard || wish == ReturnWish::Exchange && order.customer_id.is_none();
    if onto_card {
        let detail = "a second person has to approve it, and nobody would be told the code of the new gift card: settle it in parts";
        return Err(Error::problem(Code::SecondPersonNeeded, detail).at("/wish"));
    }
    Ok(Wanted {
        channel: Some(order.channel_id),
        subject: CountersignSubject {
            order_id: Some(order.id),
            order_version: Some(order.version),
            return_request_id: Some(id),
            ..CountersignSubject::default()
        },
        reason: body.reason(),
        authors: Vec::new(),
        job: Some(countersign::RETURN_REQUEST),
        what: What { request: id, version: order.version, body: body.clone() },
    })
}

/// Registers the job that settles what was approved.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(countersign::RETURN_REQUEST, move |job| make(state.clone(), job));
}

async fn make(state: State, job: Job) -> Result<Verdict> {
    let Some(request) = countersign::of_job(&state, &job).await? else { return Ok(Verdict::Done) };
    let What { request: id, version, body } = request.wanted()?;
    let locations = state.db.snapshot::<Locations>().await?;
    let made = SettleIds {
        return_id: Id::new(),
        number: format!("R{}", state.db.next_number("returns").await?),
        booking: Fresh::of(job.id),
        credit: GiveTo::store_credit(),
        events: ids(1),
    };
    let how = body.settling()?;
    let work = move |tx: &mut Tx, now: Instant, request: &CountersignRequest| {
        let actor = request.by.countersigned();
        let order = service::read(tx, &actor, id)?.order_id;
        request.is_for("order", version, orders::lock(tx, order)?.version)?;
        handling::settle(tx, (now, &actor), &made, id, (&how, &locations)).map(drop)
    };
    countersign::run(&state, job, request, work).await
}

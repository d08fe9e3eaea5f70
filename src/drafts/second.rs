//! Discounts on drafts above what one person gives alone: a second one approves them, and they are given then, once.

use serde::{Deserialize, Serialize};

use super::{model::Discount, service};
use crate::{
    carts::{self, Context, approving},
    countersign::{self, Ceilinged, CountersignRequest, CountersignSubject, Wanted},
    db::Tx,
    error::{Error, Result},
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::{Actor, Id, Instant, ids::DraftId},
};

/// What is done once it is approved: on the cart as it was then.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct What {
    draft: DraftId,
    version: i64,
    body: Discount,
}

/// What is asked for where a discount needs a second person.
pub(super) fn wanted(tx: &mut Tx, actor: &Actor, (id, body): (DraftId, &Discount)) -> Result<Wanted<What>> {
    let draft = service::read(tx, actor, id)?;
    let version = carts::load(tx, draft.cart_id)?.version;
    Ok(Wanted {
        channel: Some(draft.channel_id),
        subject: CountersignSubject { draft_id: Some(id), ..CountersignSubject::default() },
        reason: Some(body.reason.to_string()),
        authors: Vec::new(),
        job: None,
        what: What { draft: id, version, body: body.clone() },
    })
}

/// Registers the job that gives what was approved.
pub fn work(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(Ceilinged::Discount.job(), move |job| give(state.clone(), job));
}

async fn give(state: State, job: Job) -> Result<Verdict> {
    let Some(request) = countersign::of_job(&state, &job).await? else { return Ok(Verdict::Done) };
    let What { draft, version, body } = request.wanted()?;
    let channel = request.channel_id.ok_or_else(|| Error::internal("a draft of no channel was approved"))?;
    let context = Context::of(&state, channel, state.clock.now()).await?;
    let (secret, fresh) = (state.secret.clone(), Id::new());
    let work = move |tx: &mut Tx, _: Instant, request: &CountersignRequest| {
        let actor = request.by.countersigned();
        let cart = service::read(tx, &actor, draft)?.cart_id;
        request.is_for("cart", version, approving::lock(tx, cart)?.version)?;
        service::discount(tx, &context, (&actor, &secret, fresh), draft, &body).map(drop)
    };
    countersign::run(&state, job, request, work).await
}

//! Labels of the shop's for the way back: a job asks the carrier.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    api::ids,
    model::{RequestCommand, ReturnParcel, ReturnRequestDocument},
    service,
};
use crate::{
    db::{Lane, Tx},
    error::{Error, Result},
    fulfilment::{
        self,
        carriers::{check_account, return_label},
    },
    http::State,
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{
        Actor, Instant,
        ids::{JobId, LocationId, ReturnRequestId},
    },
    orders::{self, OrderDocument},
    stock::Locations,
};

/// A carrier is asked for a label.
const LABEL: &str = "returns.label";

/// What a job is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    request: ReturnRequestId,
    account: String,
    service: Option<String>,
}

/// Asks for a label for a request that may be sent: a job gets it, and notes it as its parcel.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn ask(
    tx: &mut Tx,
    (now, actor): service::By<'_>,
    job: JobId,
    id: ReturnRequestId,
    (account, wanted): (&str, Option<&str>),
) -> Result<ReturnRequestDocument> {
    let (_, request) = service::start(tx, actor, id)?;
    request.state.apply(RequestCommand::Track)?;
    if request.parcel.is_some() {
        return Err(Error::conflict("it has its parcel already"));
    }
    check_account(tx, account)?;
    let task = Task { request: id, account: account.to_owned(), service: wanted.map(ToOwned::to_owned) };
    let new = NewJob { id: job, ..NewJob::now(LABEL, now, serde_json::to_value(task)?) };
    // Asked for twice by one account, the second finds what the first has got; a try that is dead, or by another account, keeps none waiting.
    let key = format!("return-label:{id}:{account}");
    jobs::forget_dead(tx, &key)?;
    jobs::enqueue(tx, now, vec![new.in_order(key).in_lane("carriers")])?;
    Ok(request)
}

/// Registers the job.
pub(super) fn work(state: &Arc<State>, runner: &mut Runner) {
    let own = state.clone();
    runner.handle(LABEL, move |job| {
        let state = own.clone();
        async move { perform(&state, job).await }
    });
}

/// What asking a carrier needs to know: the order, where its goods go back to, and what they weigh. `None` where none is asked for any more.
fn load(tx: &mut Tx, id: ReturnRequestId) -> Result<Option<(OrderDocument, LocationId, i64)>> {
    let Some(request) = service::get(tx, id)? else { return Ok(None) };
    if request.parcel.is_some() || request.state.apply(RequestCommand::Track).is_err() {
        return Ok(None);
    }
    let Some(order) = orders::document(tx, request.order_id)? else { return Ok(None) };
    let (works, _) = fulfilment::of_order(tx, order.id)?;
    let Some(back) = request.location_id.or_else(|| works.first().map(|one| one.location_id)) else { return Ok(None) };
    let weight = |line_no: i32| order.line(line_no).map_or(0, |line| line.weight_grams);
    let grams = request.lines.iter().map(|line| weight(line.line_no).saturating_mul(line.kept)).sum();
    Ok(Some((order, back, grams)))
}

async fn perform(state: &State, job: Job) -> Result<Verdict> {
    let Task { request, account, service: wanted } = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let Some((order, back, grams)) = state.db.read(move |tx| load(tx, request)).await? else {
        return Ok(Verdict::Done);
    };
    let locations = state.db.snapshot::<Locations>().await?;
    let reference = format!("{request}");
    let about = (&order, locations.get(back)?, grams);
    let given = match return_label(state, (account, wanted.as_deref()), &reference, about).await? {
        Ok(given) => given,
        Err(why) => return Ok(Verdict::Dead { error: why }),
    };
    let (now, fresh) = (state.clock.now(), ids(1));
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        let parcel = ReturnParcel {
            carrier: Some(given.carrier.clone()),
            // Who does not say it is asked by our reference.
            tracking_number: given.tracking_number.clone().unwrap_or_else(|| request.to_string()),
            label_url: given.label_url.clone(),
            by_shop: true,
        };
        note(tx, now, &fresh, request, &parcel)
    });
    written.await?;
    Ok(Verdict::Settled)
}

/// Notes the parcel, where none was noted meanwhile.
fn note(
    tx: &mut Tx,
    now: Instant,
    fresh: &[crate::kernel::ids::EventId],
    id: ReturnRequestId,
    parcel: &ReturnParcel,
) -> Result<()> {
    let actor = Actor::System("returns");
    let (_, request) = service::start(tx, &actor, id)?;
    if request.parcel.is_some() || request.state.apply(RequestCommand::Track).is_err() {
        return Ok(());
    }
    service::track(tx, (now, &actor), fresh, id, parcel).map(|_| ())
}

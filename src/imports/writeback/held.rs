//! Returns that were reported before what comes back was reported to have left: held by a job each, and booked when it has.
//!
//! The job waits under a key of its order that every shipment hastens. The document's reference is taken meanwhile, so that
//! it stands for this return however often it is told.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    model::Document,
    service::{Back, RETURN, Report, ReturnReport, goods_back},
};
use crate::{
    db::{Lane, Tx},
    error::{Error, Result},
    fulfilment::{self, Fresh},
    http::State,
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{
        Actor, Id, Instant, Scope,
        actor::Principal,
        ids::{ChannelId, ExternalRefId, JobId, LocationId, OrderId},
    },
    orders::{self, OrderDocument},
    stock::Locations,
};

/// The kind of the job that holds a return.
pub const HELD: &str = "writeback.return";

/// How often a held return is looked at when no shipment hastens it.
const LOOK_SECONDS: i64 = 6 * 3600;
/// For so long it is held; then somebody has to look where its shipment is.
const HELD_SECONDS: i64 = 30 * 86_400;
/// What they are told.
const OVERDUE: &str =
    "what came back was never reported to have left: report its shipment and replay this, or discard it";

/// The answer to a return that is held.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct HeldReport {
    /// `held`. More words may come.
    #[schema(example = "held")]
    pub status: &'static str,
    /// The order.
    pub order_id: OrderId,
    /// The order's number.
    pub order_number: String,
    /// What it waits for.
    pub detail: &'static str,
}

impl HeldReport {
    pub(super) fn new(order: &OrderDocument) -> Self {
        let detail = "not all of it has been reported to have left yet: it is booked as soon as it has";
        Self { status: "held", order_id: order.id, order_number: order.number.clone(), detail }
    }
}

/// Who had reported it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Reporter {
    subject: String,
    channels: Option<Vec<ChannelId>>,
    locations: Option<Vec<LocationId>>,
    money_ceiling: Option<i64>,
}

impl Reporter {
    fn of(actor: &Actor) -> Option<Self> {
        let (Actor::Client(principal) | Actor::Staff(principal)) = actor else { return None };
        let Principal { subject, channels, locations, money_ceiling, .. } = principal.clone();
        Some(Self { subject, channels, locations, money_ceiling })
    }

    fn actor(self) -> Actor {
        let Self { subject, channels, locations, money_ceiling } = self;
        let scopes = vec![Scope::WritebackWrite];
        let (credential, countersigned, key) = (None, false, None);
        Actor::Client(Principal { subject, credential, scopes, channels, locations, money_ceiling, countersigned, key })
    }
}

/// What the job knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    order: OrderId,
    reporter: Option<Reporter>,
    document: Document,
    new: ReturnReport,
    reported_at: Instant,
    /// For the reference, which is taken already.
    ref_id: ExternalRefId,
}

/// Holds a return of an order that is locked. False when it is held already. What it is worth is known by now: who may not
/// give so much back is told at once, and not the operator when the shipment comes.
///
/// # Errors
/// `duplicate` when its document stands for another order's; `ceiling_exceeded`.
pub(super) fn hold(
    tx: &mut Tx,
    report: &Report,
    (order, worth): (&OrderDocument, i64),
    job: JobId,
    new: &ReturnReport,
) -> Result<bool> {
    if let Some(kept) = report.known(tx, order, RETURN)? {
        let held = kept.get("held").and_then(|id| serde_json::from_value::<JobId>(id.clone()).ok());
        // Told again it is looked at again, if nobody looks at it any more. Who gives it up this moment has the last word, and
        // takes the reference along: then it is told anew.
        let is_held = held.map(|held| jobs::replay_many(tx, report.now, &[held])).transpose()?;
        if is_held.is_none_or(|queued| !queued.is_empty()) {
            return Ok(false);
        }
    }
    if new.refund {
        fulfilment::within_ceiling(&report.actor, worth).map_err(|error| error.at("/refund"))?;
    }
    // What was left out was said to be as it is unless told: a document that comes again may not say otherwise then.
    let mut said = serde_json::Map::from_iter([
        ("restock".to_owned(), new.restock.into()),
        ("refund".to_owned(), new.refund.into()),
        ("location".to_owned(), serde_json::to_value(new.location)?),
    ]);
    said.extend(report.said.clone());
    Report { said, ..report.clone() }.note(tx, order, RETURN, json!({"held": job}))?;
    let new = ReturnReport { occurred_at: new.occurred_at.or(Some(report.now)), ..new.clone() };
    let task = Task {
        order: order.id,
        reporter: Reporter::of(&report.actor),
        document: report.document.clone(),
        new,
        reported_at: report.now,
        ref_id: report.ref_id,
    };
    let held = NewJob::now(HELD, report.now, serde_json::to_value(&task)?);
    let held = NewJob { id: job, run_at: report.now.plus_seconds(LOOK_SECONDS), ..held };
    jobs::enqueue(tx, report.now, vec![held.in_order(format!("{}{job}", orders::after(order.id)))])?;
    Ok(true)
}

/// Registers what is done with held returns.
pub fn work(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(HELD, move |job| {
        let state = state.clone();
        async move { look(&state, job).await }
    });
}

/// Books a held return if that can be done by now.
async fn look(state: &State, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let (now, locations) = (state.clock.now(), state.db.snapshot::<Locations>().await?);
    let overdue = now > task.reported_at.plus_seconds(HELD_SECONDS);
    let report = Report {
        actor: task.reporter.map_or(Actor::System("writeback"), Reporter::actor),
        now,
        order: task.order.to_string(),
        document: task.document,
        ref_id: task.ref_id,
        event: Id::new(),
        fresh: Fresh::of(job.id),
        said: serde_json::Map::new(),
    };
    let job = Arc::new(job);
    let looked = job.clone();
    let booked = state.db.write_in(Lane::Bulk, move |tx| match goods_back(tx, &report, &locations, &task.new)? {
        Back::Early(..) if overdue => looked.bury(tx, now, OVERDUE),
        Back::Early(..) => looked.postpone(tx, now, now.plus_seconds(LOOK_SECONDS)),
        Back::Booked(_) => looked.finish(tx),
    });
    match booked.await {
        Ok(()) => Ok(Verdict::Settled),
        // Whoever releases the order hastens it.
        Err(Error::Problem(problem)) if problem.extra.contains_key("holds") && !overdue => {
            let later = now.plus_seconds(LOOK_SECONDS);
            state.db.write_in(Lane::Bulk, move |tx| job.postpone(tx, now, later)).await?;
            Ok(Verdict::Settled)
        }
        // What was cancelled meanwhile, say, can not come back: somebody has to look.
        Err(error @ Error::Problem(_))
            if error.code().status() < 500 && error.code() != crate::error::Code::LeaseLost =>
        {
            Ok(Verdict::Dead { error: error.to_string() })
        }
        Err(error) => Err(error),
    }
}

/// What giving up a held return means: its document stands for nothing any more and may be told again, unless it was booked by
/// other means meanwhile.
///
/// # Errors
/// What the database says.
pub fn discarded(tx: &mut Tx, _: Instant, _: &Actor, job: &Job) -> Result<()> {
    let Ok(task) = serde_json::from_value::<Task>(job.payload.clone()) else { return Ok(()) };
    orders::drop_held_ref(tx, task.order, &task.document.as_ref(RETURN), &job.id.to_string()).map(|_| ())
}
